// SPDX-License-Identifier: Apache-2.0

package screen

import (
	"context"
	"fmt"
	"time"

	"github.com/gdamore/tcell/v2"

	"safeload/bpf"
)

// every is the time between two looks of the screen: quicker than that nobody reads.
const every = 250 * time.Millisecond

// Terminal is a view on a terminal.
type Terminal struct {
	screen tcell.Screen
	view   *View
	now    func() time.Duration
	ended  chan struct{}
}

// Open takes a terminal, by default the one of this process, and shows the view until Close. quit is called when the reader
// wants to leave. A terminal that is not known by its name is an error, and is left as it was.
func Open(v *View, device string, quit context.CancelFunc) (*Terminal, error) {
	var tty tcell.Tty
	var err error
	if device == "" {
		tty, err = tcell.NewDevTty()
	} else {
		tty, err = tcell.NewDevTtyFromDev(device)
	}
	if err != nil {
		return nil, fmt.Errorf("open the terminal: %w", err)
	}
	s, err := tcell.NewTerminfoScreenFromTty(tty)
	if err != nil {
		return nil, fmt.Errorf("use the terminal: %w", err)
	}
	return show(v, s, bpf.Now, quit)
}

func show(v *View, s tcell.Screen, now func() time.Duration, quit context.CancelFunc) (*Terminal, error) {
	if err := s.Init(); err != nil {
		return nil, fmt.Errorf("use the terminal: %w", err)
	}
	t := &Terminal{screen: s, view: v, now: now, ended: make(chan struct{})}
	go t.run(quit)
	return t, nil
}

// Close gives the terminal back as it was.
func (t *Terminal) Close() {
	t.screen.Fini()
	<-t.ended
}

func (t *Terminal) run(quit context.CancelFunc) {
	defer close(t.ended)
	stop := make(chan struct{})
	events := make(chan tcell.Event, 16)
	go t.screen.ChannelEvents(events, stop)
	defer close(stop)
	tick := time.NewTicker(every)
	defer tick.Stop()
	t.draw()
	for {
		select {
		case e, ok := <-events:
			if !ok { // Close
				return
			}
			switch e := e.(type) {
			case *tcell.EventKey:
				if e.Key() == tcell.KeyCtrlC || e.Key() == tcell.KeyEscape || e.Rune() == 'q' {
					quit()
				}
			case *tcell.EventResize:
				t.screen.Sync()
				t.draw()
			}
		case <-tick.C:
			t.draw()
		}
	}
}

func (t *Terminal) draw() {
	_, rows := t.screen.Size()
	t.screen.Clear()
	for y, l := range t.view.lines(t.now(), rows) {
		t.screen.PutStrStyled(0, y, l.text, look(l.style))
	}
	t.screen.Show()
}

// look is without colours where the terminal has none, or NO_COLOR says so: what is bad is bold as well.
func look(s style) tcell.Style {
	plain := tcell.StyleDefault
	switch s {
	case heading:
		return plain.Bold(true)
	case bad:
		return plain.Bold(true).Foreground(tcell.ColorRed)
	case faint:
		return plain.Dim(true)
	}
	return plain
}
