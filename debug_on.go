//go:build race || cachedebug

package dualcache

import "sync/atomic"

// debug turns on, under the race detector and with -tags cachedebug, the
// poison-and-generation mode that proves safe reclamation: a freed node is
// stamped, a reader that still holds it finds the stamp, and the process stops.
// It also arms the yield points, with which tests make windows wide.
const debug = true

// A yieldPoint names a place where debug builds may pause or hold a goroutine.
type yieldPoint int

const (
	pointReadProtected   yieldPoint = iota // a reader holds a protected node
	pointReadCandidate                     // a reader has loaded a slot number, not yet published it
	pointBucketLocked                      // a writer holds a bucket's lock
	pointBeforeRetire                      // a node is unlinked everywhere, not yet retired
	pointBeforePromote                     // the pass is about to store into a tier
	pointAfterPromote                      // the pass has stored into a tier, has not looked at the mark
	pointGraceScanned                      // a reclaimer has scanned the hazards, frees next
	pointPass                              // the pass holds its try-lock
	pointBeforePark                        // the daemon has announced that it parks, looks once more
	pointInPlace                           // a writer is about to store a word in place
	pointMoved                             // an entry has been shown in the new table, is about to leave the old one
	pointBeforeNeighbour                   // a reader has loaded the home's marks, looks at a neighbour next
	pointShown                             // a new entry has been shown next door, its home is still locked
	pointBetweenTables                     // a reader has not found its key in the table that is looked at first
	pointFilled                            // an insert has looked whether the cache is closed, and shows its entry next
	pointJudged                            // a conditional change has found its value alive, acts on it next
	pointForwarded                         // an old place names the new one, which is not shown yet
	pointCount
)

// hooks are set by tests; nil costs one load. A test that sets a hook checks
// that it ran.
var hooks [pointCount]atomic.Pointer[func()]

func yield(p yieldPoint) {
	if f := hooks[p].Load(); f != nil {
		(*f)()
	}
}

// The negative controls: with either on, reclamation is unsound, and the
// stress tests must notice.
var controlNoBarrier, controlNoScan atomic.Bool

func skipBarrier() bool { return controlNoBarrier.Load() }

func skipScan() bool { return controlNoScan.Load() }

// ages counts the places that were written again, by how many grace periods had passed
// since the one that they had to wait for; the last one counts all that are older.
var ages [8]atomic.Uint64

func noteAge(periods uint32) { ages[min(int(periods), len(ages)-1)].Add(1) }
