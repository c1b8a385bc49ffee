package dualcache

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"github.com/zeebo/xxh3"
)

// Snapshots: the entries of a cache as a stream of bytes, so that a service that
// restarts begins warm. Numbers are little-endian.
//
//	header   magic                                            8 bytes
//	         version, flags (none so far)                     2 + 2
//	         time of writing, in nanoseconds of Unix          8
//	         identity, preceded by its length                 2 + n
//	         checksum                                         8
//	block    length of the records, their number              4 + 4
//	         its time, in nanoseconds since that of writing   8
//	         records
//	         checksum                                         8
//	  ...
//	trailer  0, 0, number of all records                      4 + 4 + 8
//	         checksum                                         8
//
//	record   bits 0..3 heat; bit 4: has a time to live;       1
//	         bit 5: has a weight, else it is 1
//	         time to live, in nanoseconds                     varint, or none
//	         weight                                           varint, or none
//	         length of key and value, as the codec made them  varint
//	         key and value
//
// The identity tells the types of K and V and how they are encoded, or names the
// codec (snapshot_codec.go). A cache reads only what has its own identity.
//
// Checksums are xxh3 over everything since the one before, and with that one for a
// seed. So each vouches for all that has come before it, and that of the trailer
// for the whole: no block can be lost, doubled, or taken from another snapshot.
// They detect accidents, not forgery. Who can write the file can put any entries
// into the cache, but can do no more than that: lengths are believed only as far as
// bytes arrive, and blocks, but for those of a single record, are of bounded size.
//
// Order. Entries are written from the coldest to the hottest, as the policy hands
// them out, and restored in this order. What is restored last is evicted last, so
// a smaller cache keeps the hottest; and each entry is younger in the policy's
// lists than those that were colder, as it was in the cache that was written. The
// opposite order would need either all entries in memory before the first is
// written, or a reader that knows when to stop, which expired entries, weights and
// entries that are there already make impossible to know.
//
// Time. A time to live is measured when its record is made. The reader takes off
// what the wall clock says has passed since the block was begun, so that an entry
// never outlives its deadline if the two clocks agree. Where the clock was set back
// in between, nothing is taken off: no entry gets more than it had at writing.
//
// Guarantees.
// (S1) A block is verified and decoded as a whole before the first of its entries
// is restored. What fails leaves the cache with the entries of the blocks before it.
// (S2) An entry of the cache is never replaced by one of a snapshot.
// (S3) No input makes the reader panic, and none makes it allocate more than a
// small multiple of the bytes that have arrived. A panic of a codec is an error.
// (S4) No lock is held while a codec, the writer or the reader runs.

const (
	snapshotMagic   = "\x89DCS\r\n\x1a\n" // text mode, on the way, would damage it
	snapshotVersion = 1

	sumLen        = 8
	blockHeadLen  = 4 + 4 + 8
	fixedHeadLen  = len(snapshotMagic) + 2
	variedHeadLen = 2 + 8 + 2

	// blockLimit is the length of a block of several records: so long that its head
	// costs nothing, and so short that it stays in the processor's cache.
	blockLimit = 64 << 10
	// recordLimit is that of a block of one.
	recordLimit = 256 << 20
	leastRecord = 2

	recordHeat   = 1<<4 - 1
	recordTTL    = 1 << 4
	recordWeight = 1 << 5
)

// Errors of ReadFrom and LoadFile, to be found by errors.Is. What they are wrapped in
// tells the block, its position in the stream, and how many entries have been
// restored.
var (
	// ErrSnapshotCorrupt is for input that is no snapshot, or is damaged or cut short.
	ErrSnapshotCorrupt = errors.New("dualcache: corrupt snapshot")

	// ErrSnapshotVersion is for a snapshot written by a newer version of this
	// package, in a format that this one does not know.
	ErrSnapshotVersion = errors.New("dualcache: snapshot of a newer version")

	// ErrSnapshotType is for a snapshot of other types or of another codec than the
	// cache's, for an undamaged entry that the codec refuses, and, in WriteTo and
	// SaveFile too, for types that need a Config.Codec and have none.
	ErrSnapshotType = errors.New("dualcache: snapshot does not fit the types")
)

var errSnapshotClosed = errors.New("dualcache: snapshot of a closed cache")

// WriteTo writes a snapshot of the cache to w: its entries with what remains of
// their time to live, their weight, and how hot they are. It returns the number of
// bytes written. Writes are of about 64 KiB each, or one entry; w need not be
// buffered.
//
// It may run while the cache is in use and blocks nobody. An entry that is set or
// removed meanwhile may be in the snapshot or not; no other is left out. An error of
// w, of the codec, or a Close before the end, stops it, and what has been written
// then reads as cut short. Types that the default codec cannot write as they are
// give ErrSnapshotType; see Codec.
func (c *Cache[K, V]) WriteTo(w io.Writer) (n int64, err error) {
	return c.writeSnapshot(w, blockLimit)
}

func (c *Cache[K, V]) writeSnapshot(w io.Writer, limit int) (n int64, err error) {
	codec, err := blockCodecFor(c.codec)
	if err != nil {
		return 0, err
	}
	s := &snapshotWriter[K, V]{to: w, codec: codec, limit: limit, created: time.Now()}
	if err = s.header(); err != nil {
		return s.n, err
	}
	c.eachEntry(func(e Entry[K, V]) bool {
		err = s.add(e)
		return err == nil
	})
	if err == nil && c.closed.Load() {
		err = errSnapshotClosed // some entries, or all, are missing
	}
	if err == nil {
		err = s.finish()
	}
	return s.n, err
}

// A snapshotWriter is used by one goroutine.
type snapshotWriter[K comparable, V any] struct {
	to      io.Writer
	codec   blockCodec[K, V]
	limit   int
	created time.Time
	entry   Entry[K, V]   // the one under way: here, so that it need not be allocated
	scratch []byte        // its key and value
	buf     []byte        // what follows the last checksum
	count   int           // records in it
	begun   time.Duration // when the first came
	sum     uint64        // the last checksum
	total   uint64        // records written
	n       int64         // bytes written
}

func (s *snapshotWriter[K, V]) header() error {
	s.buf = append(s.buf, snapshotMagic...)
	s.buf = binary.LittleEndian.AppendUint16(s.buf, snapshotVersion)
	s.buf = binary.LittleEndian.AppendUint16(s.buf, 0)
	s.buf = binary.LittleEndian.AppendUint64(s.buf, uint64(s.created.UnixNano()))
	identity := s.codec.identity()
	s.buf = binary.LittleEndian.AppendUint16(s.buf, uint16(len(identity)))
	s.buf = append(s.buf, identity...)
	return s.seal()
}

// add appends an entry to the block, or to the next one if it does not fit.
func (s *snapshotWriter[K, V]) add(e Entry[K, V]) error {
	s.entry = e
	start := len(s.buf)
	if err := s.record(); err != nil {
		return err
	}
	if s.count > 1 && len(s.buf)-blockHeadLen > s.limit {
		s.buf = s.buf[:start]
		s.count--
		if err := s.flush(); err != nil {
			return err
		}
		return s.record() // again: it may differ in the first place of a block
	}
	return nil
}

// record appends s.entry to the block, unless its time is up meanwhile.
func (s *snapshotWriter[K, V]) record() error {
	if s.count == 0 {
		s.begun = time.Since(s.created)
		s.codec.begin()
	}
	flags := s.entry.Heat & recordHeat
	var ttl time.Duration
	if !s.entry.ExpiresAt.IsZero() {
		if ttl = time.Until(s.entry.ExpiresAt); ttl <= 0 {
			return nil
		}
		flags |= recordTTL
	}
	if s.entry.Weight != 1 {
		flags |= recordWeight
	}
	if err := s.encode(); err != nil {
		return fmt.Errorf("dualcache: snapshot: entry %d: %w", s.total+uint64(s.count), err)
	}
	s.append(flags, uint64(ttl))
	return nil
}

func (s *snapshotWriter[K, V]) append(flags uint8, ttl uint64) {
	s.buf = append(s.buf, flags)
	if flags&recordTTL != 0 {
		s.buf = binary.AppendUvarint(s.buf, ttl)
	}
	if flags&recordWeight != 0 {
		s.buf = binary.AppendUvarint(s.buf, uint64(s.entry.Weight))
	}
	s.buf = binary.AppendUvarint(s.buf, uint64(len(s.scratch)))
	s.buf = append(s.buf, s.scratch...)
	s.count++
}

// encode leaves key and value in s.scratch.
func (s *snapshotWriter[K, V]) encode() (err error) {
	defer recoverCodec(&err)
	s.scratch, err = s.codec.encode(s.scratch[:0], &s.entry.Key, &s.entry.Value)
	if err == nil && len(s.scratch) > recordLimit-64 {
		err = fmt.Errorf("%d bytes are more than a snapshot has room for", len(s.scratch))
	}
	return err
}

// recoverCodec, deferred, makes an error of a panic.
func recoverCodec(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("the codec panics: %v", p)
	}
}

// flush ends a block.
func (s *snapshotWriter[K, V]) flush() error {
	if s.count == 0 {
		return nil
	}
	s.head(len(s.buf)-blockHeadLen, s.count, uint64(s.begun))
	s.total += uint64(s.count)
	s.count = 0
	return s.seal()
}

// finish writes the last block and the trailer.
func (s *snapshotWriter[K, V]) finish() error {
	if err := s.flush(); err != nil {
		return err
	}
	s.buf = s.buf[:blockHeadLen]
	s.head(0, 0, s.total)
	return s.seal()
}

func (s *snapshotWriter[K, V]) head(length, count int, last uint64) {
	binary.LittleEndian.PutUint32(s.buf, uint32(length))
	binary.LittleEndian.PutUint32(s.buf[4:], uint32(count))
	binary.LittleEndian.PutUint64(s.buf[8:], last)
}

// seal writes s.buf with its checksum, and makes room for the head of the next
// block.
func (s *snapshotWriter[K, V]) seal() error {
	s.sum = xxh3.HashSeed(s.buf, s.sum)
	s.buf = binary.LittleEndian.AppendUint64(s.buf, s.sum)
	n, err := s.to.Write(s.buf)
	s.n += int64(n)
	if err == nil && n < len(s.buf) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return fmt.Errorf("dualcache: write snapshot: %w", err)
	}
	s.buf = append(s.buf[:0], make([]byte, blockHeadLen)...)
	return nil
}

// ReadFrom restores the entries of a snapshot, with their time to live less the
// time that has passed since it was written by the wall clock, their weight, and
// their heat. It returns the number of bytes read, which is the snapshot's length
// and not one byte more. r need not be buffered.
//
// Entries that the cache holds are kept, and so is their value. Entries whose time
// is up are skipped. A cache that is too small for all keeps the hottest. ReadFrom
// may run while the cache is in use, but a key that is deleted before its record is
// reached comes back with the old value, as do changes made elsewhere since the
// snapshot was written: read it before anything depends on deletions.
//
// Errors are ErrSnapshotCorrupt, ErrSnapshotVersion, ErrSnapshotType, and those of
// r. The entries of the blocks (of 64 KiB) before the one that fails have then been
// restored, whole and verified; the error tells their number. Input from anywhere is
// safe to read: it gives an error at worst, and takes memory in proportion to its
// length.
func (c *Cache[K, V]) ReadFrom(r io.Reader) (n int64, err error) {
	codec, err := blockCodecFor(c.codec)
	if err != nil {
		return 0, err
	}
	s := &snapshotReader[K, V]{from: r, cache: c, codec: codec}
	err = s.header()
	for more := true; err == nil && more; {
		s.block++
		s.start = s.n
		more, err = s.readBlock()
	}
	if err != nil {
		err = fmt.Errorf("%w (block %d, at byte %d; %d entries restored)", err, s.block, s.start, s.restored)
	}
	return s.n, err
}

// A snapshotReader is used by one goroutine.
type snapshotReader[K comparable, V any] struct {
	from     io.Reader
	cache    *Cache[K, V]
	codec    blockCodec[K, V]
	created  time.Time
	buf      []byte // what follows the last checksum
	sum      uint64 // that checksum
	records  []snapshotRecord[K, V]
	total    uint64 // records read
	restored uint64 // entries of them
	block    int    // 0 is the header
	start    int64  // its position
	n        int64  // bytes read
}

type snapshotRecord[K comparable, V any] struct {
	key    K
	value  V
	ttl    time.Duration // 0: never expires
	weight uint32
	heat   uint8
}

func (s *snapshotReader[K, V]) header() error {
	if err := s.fill(fixedHeadLen); err != nil {
		return err
	}
	if string(s.buf[:len(snapshotMagic)]) != snapshotMagic {
		return corruptSnapshot("it does not begin as snapshots do")
	}
	version := binary.LittleEndian.Uint16(s.buf[len(snapshotMagic):])
	if version > snapshotVersion {
		return fmt.Errorf("%w: %d, and %d is the latest known", ErrSnapshotVersion, version, snapshotVersion)
	}
	if err := s.fill(variedHeadLen); err != nil {
		return err
	}
	length := binary.LittleEndian.Uint16(s.buf[len(s.buf)-2:])
	if err := s.fill(int(length) + sumLen); err != nil {
		return err
	}
	head := s.buf[fixedHeadLen : len(s.buf)-sumLen]
	if err := s.verify(); err != nil {
		return err
	}
	if version == 0 {
		return corruptSnapshot("version 0")
	}
	return s.accept(head)
}

// accept looks at what follows the version.
func (s *snapshotReader[K, V]) accept(head []byte) error {
	if flags := binary.LittleEndian.Uint16(head); flags != 0 {
		return fmt.Errorf("%w: unknown flags %#x", ErrSnapshotVersion, flags)
	}
	s.created = time.Unix(0, int64(binary.LittleEndian.Uint64(head[2:])))
	if got, want := string(head[variedHeadLen:]), s.codec.identity(); got != want {
		return fmt.Errorf("%w: it holds %q, and the cache %q", ErrSnapshotType, got, want)
	}
	return nil
}

// readBlock reads and restores a block. It reports false after the trailer.
func (s *snapshotReader[K, V]) readBlock() (more bool, err error) {
	if err := s.fill(blockHeadLen); err != nil {
		return false, err
	}
	length := binary.LittleEndian.Uint32(s.buf)
	count := binary.LittleEndian.Uint32(s.buf[4:])
	last := binary.LittleEndian.Uint64(s.buf[8:])
	if length > recordLimit || length > blockLimit && count != 1 ||
		count > length/leastRecord || count == 0 && length > 0 {
		return false, corruptSnapshot("a block of %d bytes and %d entries", length, count)
	}
	if err := s.fill(int(length) + sumLen); err != nil {
		return false, err
	}
	records := s.buf[blockHeadLen : len(s.buf)-sumLen]
	if err := s.verify(); err != nil {
		return false, err
	}
	if length == 0 { // the trailer
		if last != s.total {
			return false, corruptSnapshot("%d entries, and there should be %d", s.total, last)
		}
		return false, nil
	}
	if err := s.decode(records, int(count)); err != nil { // (S1)
		return false, err
	}
	s.restore(s.created.Add(time.Duration(last)))
	return true, nil
}

// fill reads n bytes and appends them to s.buf. It asks for no more memory than has
// been filled already, whatever n is (S3).
func (s *snapshotReader[K, V]) fill(n int) error {
	for n > 0 {
		at := len(s.buf)
		step := min(n, max(at, blockLimit+sumLen))
		s.buf = slices.Grow(s.buf, step)[:at+step]
		m, err := io.ReadFull(s.from, s.buf[at:])
		s.n += int64(m)
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return fmt.Errorf("%w: it ends at byte %d, too early: %w", ErrSnapshotCorrupt, s.n, io.ErrUnexpectedEOF)
		}
		if err != nil {
			return fmt.Errorf("dualcache: read snapshot: %w", err)
		}
		n -= step
	}
	return nil
}

// verify compares the checksum at the end of s.buf, and takes the whole out. The
// bytes stay as they are until the next fill.
func (s *snapshotReader[K, V]) verify() error {
	end := len(s.buf) - sumLen
	s.sum = xxh3.HashSeed(s.buf[:end], s.sum)
	if s.sum != binary.LittleEndian.Uint64(s.buf[end:]) {
		return corruptSnapshot("the checksum differs")
	}
	s.buf = s.buf[:0]
	return nil
}

func corruptSnapshot(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrSnapshotCorrupt, fmt.Sprintf(format, args...))
}

// decode puts the records of a block into s.records.
func (s *snapshotReader[K, V]) decode(src []byte, count int) (err error) {
	clear(s.records)
	s.records = s.records[:0]
	s.codec.begin()
	for range count {
		s.records = append(s.records, snapshotRecord[K, V]{})
		src, err = s.decodeRecord(src, &s.records[len(s.records)-1])
		if err != nil {
			return err
		}
		s.total++
	}
	if len(src) > 0 {
		return corruptSnapshot("%d bytes after the last entry of a block", len(src))
	}
	return nil
}

func (s *snapshotReader[K, V]) decodeRecord(src []byte, r *snapshotRecord[K, V]) (rest []byte, err error) {
	if len(src) == 0 || src[0] >= recordWeight<<1 {
		return nil, corruptSnapshot("entry %d begins with an unknown mark", s.total)
	}
	flags := src[0]
	src = src[1:]
	var ttl, length uint64
	weight := uint64(1)
	if flags&recordTTL != 0 {
		ttl, src = takeUvarint(src)
	}
	if flags&recordWeight != 0 {
		weight, src = takeUvarint(src)
	}
	length, src = takeUvarint(src)
	if src == nil || length > uint64(len(src)) || weight > math.MaxUint32 ||
		ttl > math.MaxInt64 || ttl == 0 && flags&recordTTL != 0 {
		return nil, corruptSnapshot("entry %d has impossible numbers", s.total)
	}
	r.heat, r.ttl, r.weight = flags&recordHeat, time.Duration(ttl), uint32(weight)
	if err := s.decodeEntry(src[:length:length], r); err != nil {
		return nil, fmt.Errorf("%w: entry %d: %w", ErrSnapshotType, s.total, err)
	}
	return src[length:], nil
}

// takeUvarint takes a number from the front of src. It gives nil where there is
// none.
func takeUvarint(src []byte) (n uint64, rest []byte) {
	n, size := binary.Uvarint(src)
	if size <= 0 {
		return 0, nil
	}
	return n, src[size:]
}

func (s *snapshotReader[K, V]) decodeEntry(src []byte, r *snapshotRecord[K, V]) (err error) {
	defer recoverCodec(&err)
	return s.codec.decode(src, &r.key, &r.value)
}

// restore puts the entries of a block, written at that time, into the cache.
func (s *snapshotReader[K, V]) restore(written time.Time) {
	passed := max(0, time.Since(written))
	for i := range s.records {
		r := &s.records[i]
		ttl := r.ttl
		if ttl > 0 {
			if ttl -= passed; ttl <= 0 {
				continue
			}
		}
		if s.cache.restore(r.key, r.value, ttl, r.weight, r.heat) {
			s.restored++
		}
	}
}
