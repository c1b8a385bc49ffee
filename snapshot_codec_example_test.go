package dualcache_test

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/dualcache-ff/dualcache"
)

type account struct {
	User  string
	Roles []string
	dirty bool // not for snapshots
}

// accountCodec writes accounts as JSON, with the key before them.
type accountCodec struct{}

func (accountCodec) Name() string { return "account, version 1" }

func (accountCodec) Encode(dst []byte, id [8]byte, s account) ([]byte, error) {
	b, err := json.Marshal(s)
	return append(append(dst, id[:]...), b...), err
}

func (accountCodec) Decode(src []byte) (id [8]byte, s account, err error) {
	if len(src) < len(id) {
		return id, s, fmt.Errorf("an account of %d bytes", len(src))
	}
	return [8]byte(src), s, json.Unmarshal(src[len(id):], &s)
}

func ExampleCodec() {
	config := dualcache.Config[[8]byte, account]{Capacity: 100, Codec: accountCodec{}}
	cache := dualcache.Must(config)
	defer cache.Close()
	cache.Set([8]byte{1}, account{User: "ann", Roles: []string{"admin"}, dirty: true})

	var snapshot bytes.Buffer
	if _, err := cache.WriteTo(&snapshot); err != nil {
		fmt.Println(err)
	}
	other := dualcache.Must(config)
	defer other.Close()
	if _, err := other.ReadFrom(&snapshot); err != nil {
		fmt.Println(err)
	}
	fmt.Println(other.Get([8]byte{1}))
	// Output: {ann [admin] false} true
}
