// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	"cmp"
	"container/heap"
	"time"
)

// lanes gives each task the first lane that is free. Tasks come by their beginning.
type lanes struct {
	rows int
	busy laneHeap // by when they get free
	free laneHeap // by number: all of one time
}

func (l *lanes) take(from, to time.Duration) int {
	for len(l.busy) > 0 && l.busy[0].until <= from {
		heap.Push(&l.free, lane{n: heap.Pop(&l.busy).(lane).n})
	}
	n := l.rows
	if len(l.free) > 0 {
		n = heap.Pop(&l.free).(lane).n
	} else {
		l.rows++
	}
	heap.Push(&l.busy, lane{to, n})
	return n
}

type lane struct {
	until time.Duration
	n     int
}

type laneHeap []lane

func (h laneHeap) Len() int { return len(h) }
func (h laneHeap) Less(i, j int) bool {
	return cmp.Or(cmp.Compare(h[i].until, h[j].until), cmp.Compare(h[i].n, h[j].n)) < 0
}
func (h laneHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *laneHeap) Push(x any)   { *h = append(*h, x.(lane)) }
func (h *laneHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}
