// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"testing"
	"time"
)

func TestStandstill(t *testing.T) {
	const s = time.Second
	type look struct {
		at      time.Duration
		picture string
		head    time.Duration // found at this look
	}
	for name, tt := range map[string]struct {
		looks   []look
		lasting time.Duration
		over    time.Duration // negative: never
	}{
		"nothing seen":                {nil, 10 * s, -1},
		"somebody may move":           {[]look{{at: 0, picture: ""}}, 10 * s, -1},
		"from the first look on":      {[]look{{at: 1 * s, picture: "a"}, {at: 4 * s, picture: "a"}}, 10 * s, 11 * s},
		"a change":                    {[]look{{at: 1 * s, picture: "a"}, {at: 4 * s, picture: "b"}}, 10 * s, 14 * s},
		"a change and back":           {[]look{{at: 1 * s, picture: "a"}, {at: 2 * s, picture: "b"}, {at: 3 * s, picture: "a"}}, 10 * s, 13 * s},
		"no picture in between":       {[]look{{at: 1 * s, picture: "a"}, {at: 2 * s, picture: ""}, {at: 3 * s, picture: "a"}}, 10 * s, 13 * s},
		"no longer":                   {[]look{{at: 1 * s, picture: "a"}, {at: 2 * s, picture: ""}}, 10 * s, -1},
		"never, by the settings":      {[]look{{at: 1 * s, picture: "a"}}, -1, -1},
		"it was so before":            {[]look{{at: 1 * s, picture: "a", head: 4 * s}, {at: 2 * s, picture: "a"}}, 10 * s, 7 * s},
		"it was so for long before":   {[]look{{at: 1 * s, picture: "a", head: 40 * s}, {at: 2 * s, picture: "a"}}, 10 * s, 1*s + confirmAfter},
		"less than two looks' time":   {[]look{{at: 1 * s, picture: "a", head: 40 * s}}, time.Millisecond, 1*s + time.Millisecond},
		"a change after it was so":    {[]look{{at: 1 * s, picture: "a", head: 40 * s}, {at: 2 * s, picture: "b"}}, 10 * s, 12 * s},
		"no picture after it was so":  {[]look{{at: 1 * s, picture: "a", head: 40 * s}, {at: 2 * s}, {at: 3 * s, picture: "a"}}, 10 * s, 13 * s},
		"same again, head is not new": {[]look{{at: 1 * s, picture: "a", head: 4 * s}, {at: 5 * s, picture: "a"}, {at: 6 * s, picture: "a"}}, 10 * s, 7 * s},
	} {
		t.Run(name, func(t *testing.T) {
			zero := time.Now()
			var st standstill
			for _, l := range tt.looks {
				st.see(l.picture, zero.Add(l.at))
				if l.head > 0 {
					st.head = l.head
				}
			}
			end, ok := st.over(tt.lasting)
			if ok != (tt.over >= 0) || ok && end.Sub(zero) != tt.over {
				t.Fatalf("over after %v, %v; want %v", end.Sub(zero), ok, tt.over)
			}
			if !ok {
				if st.held(tt.lasting, zero.Add(1000*time.Hour)) {
					t.Error("held, though it is never over")
				}
				return
			}
			if st.held(tt.lasting, end.Add(-1)) || !st.held(tt.lasting, end) {
				t.Error("held before its end, or not at its end")
			}
		})
	}
}

func TestStandstillBegan(t *testing.T) {
	now := time.Now()
	earlier := standstill{picture: "a", at: now.Add(-time.Minute)}
	for name, tt := range map[string]struct {
		proof standstill
		want  time.Time
	}{
		"the same":         {standstill{picture: "a", at: now}, earlier.at},
		"another":          {standstill{picture: "b", at: now}, now},
		"none":             {standstill{at: now}, now},
		"the same, before": {standstill{picture: "a", at: now.Add(-time.Hour)}, now.Add(-time.Hour)},
	} {
		if tt.proof.began(&earlier); !tt.proof.at.Equal(tt.want) {
			t.Errorf("%s: began %v, want %v", name, tt.proof.at.Sub(now), tt.want.Sub(now))
		}
	}
}

// What all who wait spend on looking is bounded together, however dear a look is
// and however many they are.
func TestRest(t *testing.T) {
	for _, tt := range []struct {
		gap, cost time.Duration
		lookers   int
		want      time.Duration
	}{
		{100 * time.Millisecond, 5 * time.Millisecond, 1, 100 * time.Millisecond},
		{100 * time.Millisecond, 5 * time.Millisecond, 50, time.Second},
		{2 * time.Second, 5 * time.Millisecond, 50, 2 * time.Second},
		{2 * time.Second, 30 * time.Millisecond, 50, 6 * time.Second},
	} {
		got := rest(tt.gap, tt.cost, tt.lookers)
		if got != tt.want {
			t.Errorf("%d who look for %v each: a rest of %v, want %v", tt.lookers, tt.cost, got, tt.want)
		}
		if all := time.Duration(tt.lookers) * tt.cost; all*lookShare > got {
			t.Errorf("%d who look for %v each spend more than their share in %v", tt.lookers, tt.cost, got)
		}
	}
}
