// SPDX-License-Identifier: Apache-2.0

// Browser opens files in a headless Chromium at two widths, and fails where a script errs, anything is fetched, or a text is
// not inside its box or the page. With --out it leaves screenshots for people to look at.
package main

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

func main() {
	os.Exit(run())
}

func run() int {
	out := flag.String("out", "", "leave screenshots in this `directory`")
	dark := flag.Bool("dark", false, "as for those who like it dark")
	click := flag.String("eval", "", "JavaScript that is run before the look, such as a click; false fails")
	flag.Parse()
	b, err := start()
	if err != nil {
		fmt.Fprintln(os.Stderr, "browser:", err)
		return 1
	}
	defer b.end()
	code := 0
	for _, file := range flag.Args() {
		for _, width := range []int{800, 1600} {
			faults, err := b.look(file, width, *dark, *click, *out)
			if err != nil {
				faults = append(faults, err.Error())
			}
			for _, f := range faults {
				fmt.Printf("%s at %d px: %s\n", file, width, f)
				code = 1
			}
			if len(faults) == 0 {
				fmt.Printf("%s at %d px: right\n", file, width)
			}
		}
	}
	return code
}

// browser is a Chromium that is spoken to by pipes (--remote-debugging-pipe): JSON, each ended by a NUL.
type browser struct {
	command *exec.Cmd
	to      *os.File
	from    *bufio.Reader
	id      int
	session string
	events  []event
	home    string
}

type event struct {
	Method string
	Params json.RawMessage
}

func start() (*browser, error) {
	home, err := os.MkdirTemp("", "browser")
	if err != nil {
		return nil, err
	}
	inR, inW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	outR, outW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	c := exec.Command("chromium", "--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
		"--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking", "--user-data-dir="+home)
	c.ExtraFiles = []*os.File{inR, outW}
	c.Env = append(os.Environ(), "HOME="+home)
	if err := c.Start(); err != nil {
		return nil, fmt.Errorf("start chromium: %w", err)
	}
	inR.Close()
	outW.Close()
	_ = outR.SetReadDeadline(time.Now().Add(5 * time.Minute)) // a browser that says nothing
	return &browser{command: c, to: inW, from: bufio.NewReader(outR), home: home}, nil
}

func (b *browser) end() {
	_ = b.command.Process.Kill()
	_ = b.command.Wait()
	os.RemoveAll(b.home)
}

// call has the browser do something, and keeps what it tells meanwhile.
func (b *browser) call(method string, params map[string]any, result any) error {
	b.id++
	m := map[string]any{"id": b.id, "method": method, "params": params}
	if b.session != "" {
		m["sessionId"] = b.session
	}
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if _, err := b.to.Write(append(text, 0)); err != nil {
		return err
	}
	for {
		text, err := b.from.ReadBytes(0)
		if err != nil {
			return fmt.Errorf("%s: %w", method, err)
		}
		var a struct {
			ID     int
			Method string
			Params json.RawMessage
			Result json.RawMessage
			Error  *struct{ Message string }
		}
		if err := json.Unmarshal(text[:len(text)-1], &a); err != nil {
			return err
		}
		switch {
		case a.Method != "":
			b.events = append(b.events, event{a.Method, a.Params})
		case a.ID != b.id:
		case a.Error != nil:
			return fmt.Errorf("%s: %s", method, a.Error.Message)
		case result != nil:
			return json.Unmarshal(a.Result, result)
		default:
			return nil
		}
	}
}

// outside names texts that are wider than the box before them, what leaves the page, and boxes of a picture that overlap its edge.
const outside = `(() => {
	const bad = [], say = (e, what) => bad.length < 20 && bad.push(what + ': ' + e.textContent.slice(0, 60));
	const page = document.documentElement;
	if (page.scrollWidth > innerWidth + 1 && page.tagName !== 'svg') bad.push('the page is ' + page.scrollWidth + ' px wide');
	for (const t of document.querySelectorAll('svg text')) {
		const r = t.getBoundingClientRect(), s = t.ownerSVGElement.getBoundingClientRect();
		if (!r.width) continue;
		if (r.left < s.left - 1 || r.right > s.right + 1 || r.top < s.top - 1 || r.bottom > s.bottom + 1) say(t, 'outside of its picture');
		const box = t.parentNode.tagName === 'g' && t.parentNode.querySelector('rect.box');
		if (box) {
			const o = box.getBoundingClientRect();
			if (r.left < o.left || r.right > o.right || r.top < o.top - 1 || r.bottom > o.bottom + 1) say(t, 'outside of its box');
		}
	}
	for (const e of document.querySelectorAll('body *')) {
		if (e.closest('svg') || e.closest('.scrolls') || !e.getClientRects().length) continue;
		if (e.getBoundingClientRect().right > innerWidth + 1) say(e, 'outside of the page');
	}
	return JSON.stringify(bad);
})()`

// look opens a file, and returns what is wrong with it.
func (b *browser) look(file string, width int, dark bool, before, out string) (faults []string, err error) {
	path, err := filepath.Abs(file)
	if err != nil {
		return nil, err
	}
	b.session, b.events = "", nil
	var target struct{ TargetID string }
	if err := b.call("Target.createTarget", map[string]any{"url": "about:blank"}, &target); err != nil {
		return nil, err
	}
	var attached struct{ SessionID string }
	if err := b.call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached); err != nil {
		return nil, err
	}
	b.session = attached.SessionID
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	address := (&url.URL{Scheme: "file", Path: path}).String()
	for _, c := range []struct {
		method string
		params map[string]any
	}{
		{"Runtime.enable", nil}, {"Log.enable", nil}, {"Network.enable", nil}, {"Page.enable", nil},
		{"Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": false}},
		{"Emulation.setEmulatedMedia", map[string]any{"features": []any{map[string]any{"name": "prefers-color-scheme", "value": scheme}}}},
		{"Page.navigate", map[string]any{"url": address}},
	} {
		if err := b.call(c.method, c.params, nil); err != nil {
			return nil, err
		}
	}
	ready := `new Promise(r => document.readyState === 'complete' ? r('') : addEventListener('load', () => r('')))`
	if _, err := b.eval(ready); err != nil {
		return nil, err
	}
	if before != "" {
		if said, err := b.eval(before); err != nil {
			faults = append(faults, err.Error())
		} else if said == "false" {
			faults = append(faults, "not so: "+before)
		}
	}
	found, err := b.eval(outside)
	if err != nil {
		return faults, err
	}
	var bad []string
	if err := json.Unmarshal([]byte(found), &bad); err != nil {
		return faults, err
	}
	faults = append(append(faults, bad...), b.said(address)...)
	if out != "" {
		name := fmt.Sprintf("%s-%d.png", strings.TrimSuffix(filepath.Base(file), filepath.Ext(file)), width)
		if err := b.screenshot(filepath.Join(out, name)); err != nil {
			return faults, err
		}
	}
	b.session = ""
	return faults, b.call("Target.closeTarget", map[string]any{"targetId": target.TargetID}, nil)
}

// said is what the page complained of, and what it fetched beside itself.
func (b *browser) said(address string) (faults []string) {
	for _, e := range b.events {
		var p struct {
			Type             string
			Entry            struct{ Level, Text string }
			Request          struct{ URL string }
			ExceptionDetails struct {
				Text      string
				Exception struct{ Description string }
			}
		}
		_ = json.Unmarshal(e.Params, &p)
		switch {
		case e.Method == "Runtime.exceptionThrown":
			faults = append(faults, "script: "+p.ExceptionDetails.Text+" "+p.ExceptionDetails.Exception.Description)
		case e.Method == "Runtime.consoleAPICalled" && (p.Type == "error" || p.Type == "warning"), e.Method == "Log.entryAdded" && p.Entry.Level == "error":
			faults = append(faults, "console: "+p.Entry.Text)
		case e.Method == "Network.requestWillBeSent" && strings.HasPrefix(p.Request.URL, "data:"):
			faults = append(faults, "fetched data:")
		case e.Method == "Network.requestWillBeSent" && strings.Split(p.Request.URL, "#")[0] != address:
			faults = append(faults, "fetched "+p.Request.URL)
		}
	}
	return faults
}

// eval runs JavaScript, and returns its value as a string.
func (b *browser) eval(script string) (string, error) {
	var r struct {
		Result           struct{ Value any }
		ExceptionDetails *struct {
			Exception struct{ Description string }
		}
	}
	if err := b.call("Runtime.evaluate", map[string]any{"expression": script, "awaitPromise": true, "returnByValue": true}, &r); err != nil {
		return "", err
	}
	if r.ExceptionDetails != nil {
		return "", errors.New(r.ExceptionDetails.Exception.Description)
	}
	return fmt.Sprint(r.Result.Value), nil
}

func (b *browser) screenshot(path string) error {
	var shot struct{ Data string }
	if err := b.call("Page.captureScreenshot", map[string]any{"format": "png", "captureBeyondViewport": false}, &shot); err != nil {
		return err
	}
	png, err := base64.StdEncoding.DecodeString(shot.Data)
	if err != nil {
		return err
	}
	return os.WriteFile(path, png, 0o644)
}
