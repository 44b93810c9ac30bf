package collector

import (
	"maps"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/petra-exporter/petra_exporter/petra"
)

// maxRejections is how many rejections are remembered.
const maxRejections = 4096

// rejections counts the elements and fields in the answers of a route that could
// not be used, each once while it is remembered.
type rejections struct {
	seen   *lru.Cache[petra.Rejection, struct{}]
	counts map[petra.Reason]int
}

func newRejections() rejections {
	seen, _ := lru.New[petra.Rejection, struct{}](maxRejections) // fails for a bad size only
	return rejections{seen, map[petra.Reason]int{}}
}

// add reports whether the rejection is a new one.
func (r *rejections) add(rejection petra.Rejection) (isNew bool) {
	if _, known := r.seen.Get(rejection); known {
		return false
	}
	r.seen.Add(rejection, struct{}{})
	r.counts[rejection.Reason]++
	return true
}

// rejectionsSnapshot is the form in the state file. A file without counts lists
// everything that was ever counted.
type rejectionsSnapshot struct {
	Rejected []petra.Rejection    `json:"rejected"` // the oldest first
	Counts   map[petra.Reason]int `json:"rejected_counts"`
}

func (r *rejections) save() rejectionsSnapshot {
	return rejectionsSnapshot{r.seen.Keys(), maps.Clone(r.counts)}
}

func (r *rejections) load(saved rejectionsSnapshot) {
	for _, rejection := range saved.Rejected {
		r.add(rejection)
	}
	maps.Copy(r.counts, saved.Counts)
}
