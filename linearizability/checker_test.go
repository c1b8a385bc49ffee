package linearizability

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

// The checker: from a history that was played to a verdict that a person can
// use.
//
// Porcupine says yes or no for all keys at once. After a no, each key is asked
// about alone, and for the first bad one:
//
//   - the diagnosis: the rules of the model are taken away one at a time. If
//     the history is legal without one, then that rule is what was broken;
//   - the cut: operations are left out for as long as the rest stays illegal.
//     Only those whose absence cannot make a legal history illegal are tried
//     (spare), so that what is left is a fault and not made by the cut;
//   - the artifact: porcupine's picture of the whole history of the key.

var (
	seedFlag      = flag.Uint64("seed", 0, "seed of the histories; 0 draws one")
	longFlag      = flag.Duration("long", 0, "run TestHistories for so long")
	artifactsFlag = flag.String("artifacts", os.TempDir(), "directory for histories that fail")
)

// checkLimit is far more than any history of these sizes takes.
const checkLimit = 30 * time.Second

// A violation is a history that breaks the contract.
type violation struct {
	reasons []string // why, as far as can be told
	rules   rules
	key     int
	part    []*record // what belongs to the key
}

func oneReason(format string, args ...any) []string { return []string{fmt.Sprintf(format, args...)} }

// check judges a history that was played.
func (h *history) check(m rules) *violation {
	all := h.records()
	for _, r := range all {
		if r.odd != "" {
			return &violation{[]string{r.odd}, m, r.key, partOf(all, r.key)}
		}
	}
	if v := checkRecords(m, all); v != nil {
		return v
	}
	return h.checkRest()
}

// checkRest checks what holds at rest without regard to order (G3).
func (h *history) checkRest() *violation {
	found := 0
	for _, r := range h.closing {
		if r.ok {
			found++
		}
	}
	now := h.rest
	switch {
	case now.length > h.spec.capacity:
		return &violation{reasons: oneReason("Len is %d at rest, Capacity %d", now.length, h.spec.capacity)}
	case h.spec.weighs && now.weight > now.heaviest:
		return &violation{reasons: oneReason("Weight is %d at rest, MaxWeight %d", now.weight, now.heaviest)}
	case h.spec.weighs && now.weight > uint64(now.length)*mostWeight:
		return &violation{reasons: oneReason("Weight is %d at rest, Len %d, and no entry weighs more than %d", now.weight, now.length, mostWeight)}
	case found > now.length && h.spec.reload == 0:
		return &violation{reasons: oneReason("Len was %d at rest, and then %d keys were found", now.length, found)}
	case !h.spec.rules().evicts && now.Evictions > 0:
		return &violation{reasons: oneReason("%d evictions from a cache that has room for all", now.Evictions)}
	}
	return nil
}

// checkRecords asks porcupine.
func checkRecords(m rules, all []*record) *violation {
	switch verdict(m, all) {
	case porcupine.Ok:
		return nil
	case porcupine.Unknown:
		return &violation{reasons: []string{"no verdict within the time limit"}, rules: m, key: everyKey, part: all}
	}
	for key := 0; ; key++ {
		part := partOf(all, key)
		if verdict(m, part) == porcupine.Illegal {
			return &violation{diagnose(m, part), m, key, part}
		}
	}
}

func verdict(m rules, records []*record) porcupine.CheckResult {
	return porcupine.CheckOperationsTimeout(m.model(), operations(records), checkLimit)
}

// The diagnoses. faults_test.go expects each fault to get its own, maybe among others.
const (
	wrongValue = "a value that the register did not hold: stale, lost, or another key's"
	flickered  = "found again after a miss, without a Set"
	outlived   = "found after its deadline"
	staleLoad  = "a load that the key had been changed since, and which stored or was joined all the same"
	vanished   = "absent without a reason from a cache that has room for all"
)

// diagnose names each rule without which the history would be legal: what breaks one may
// look, while the history is short, like a breach of another.
func diagnose(m rules, part []*record) (reasons []string) {
	current := map[uint64]bool{}
	for _, r := range part {
		if r.kind == opBegin {
			current[r.id] = true
		}
	}
	for _, lack := range []struct {
		reason string
		of     func(m *rules)
	}{
		{vanished, func(m *rules) { m.evicts = true }},
		{outlived, func(m *rules) { m.timeless = true }},
		{staleLoad, func(m *rules) { m.stale = current }},
		{flickered, func(m *rules) { m.evicts, m.flickers = true, true }},
	} {
		without := m
		lack.of(&without)
		if lack.reason == flickered && slices.Contains(reasons, vanished) {
			continue // evictions alone explain it
		}
		if verdict(without, part) == porcupine.Ok {
			reasons = append(reasons, lack.reason)
		}
	}
	if reasons == nil {
		reasons = []string{wrongValue}
	}
	return reasons
}

// partOf gives a key's history, in the order of calls.
func partOf(all []*record, key int) (part []*record) {
	for _, r := range all {
		if r.key == key || r.key == everyKey {
			part = append(part, r)
		}
	}
	slices.SortFunc(part, func(a, b *record) int { return cmp.Compare(a.call, b.call) })
	return part
}

// cut leaves out what the fault does not need, until nothing more can go.
func cut(m rules, part []*record) []*record {
	for before := len(part) + 1; len(part) < before; {
		before = len(part)
		for i := len(part) - 1; i >= 0; i-- {
			if !m.spare(part, part[i]) {
				continue
			}
			if rest := slices.Delete(slices.Clone(part), i, i+1); verdict(m, rest) == porcupine.Illegal {
				part = rest
			}
		}
	}
	return part
}

// spare reports whether a legal history stays legal without r. Reads only forbid,
// unless they put deadlines off. Without a removal the register holds more for a
// time, which only a strict miss minds. Without a write it holds something else, or
// nothing, which those mind that saw the value.
func (m rules) spare(part []*record, r *record) bool {
	switch {
	case r.kind == opGet || r.kind == opPeek || r.kind == opContains || r.kind == opGetOrLoad || r.kind == opRefresh,
		r.kind == opGetOrSet && r.ok, r.kind == opCompute && r.does == doKeep:
		return m.idle == 0
	case r.kind == opDelete || r.kind == opGetAndDelete || r.kind == opClear || r.kind == opDeleteIf || r.ttl < 0,
		r.kind == opCompute && !r.ok:
		return m.evicts
	}
	return !slices.ContainsFunc(part, func(other *record) bool {
		return other != r && (other.id == r.id || other.was == r.id || other.load == r ||
			other.ok && (other.kind == opDelete || other.kind == opContains))
	})
}

// String shows the cut history, times from its first call.
func (v *violation) String() string {
	var s strings.Builder
	s.WriteString(strings.Join(v.reasons, ", or "))
	if len(v.part) == 0 {
		return s.String()
	}
	part := v.part
	if v.key != everyKey {
		part = cut(v.rules, part)
	}
	fmt.Fprintf(&s, "; key %d, %d of %d operations:\n", v.key, len(part), len(v.part))
	for _, r := range part {
		fmt.Fprintf(&s, "\t%9d to %9d ns  client %d  %v\n", r.call-part[0].call, r.ret-part[0].call, r.client, r)
	}
	return s.String()
}

// save writes the picture, and returns its path.
func (v *violation) save(name string) (string, error) {
	if len(v.part) == 0 {
		return "(no history needed)", nil
	}
	m := v.rules.model()
	m.Partition = nil // it is one key's already, or everything
	_, seen := porcupine.CheckOperationsVerbose(m, operations(v.part), checkLimit)
	f, err := os.CreateTemp(*artifactsFlag, "dualcache-"+strings.ReplaceAll(name, "/", "-")+"-*.html")
	if err != nil {
		return "", err
	}
	defer f.Close()
	path, err := filepath.Abs(f.Name())
	if err != nil {
		return "", err
	}
	return path, porcupine.Visualize(m, seen, f)
}
