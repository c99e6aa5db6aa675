// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"strings"

	"safeload/guard/graph"
	"safeload/guard/survey"
	"safeload/install"
	"safeload/internal/conf"
)

// guard reports what the guard can do on this system.
func (e *examination) guard() {
	e.area = "guard"
	if st, err := install.Installed(e.sys.root); err != nil {
		e.add(Warn, "installed", "unknown", err.Error(), "")
	} else if st != nil {
		e.add(OK, "installed", "via "+string(st.Via), "helper "+st.Helper, "")
	} else {
		e.add(Note, "installed", "not by safeload install", "", "")
	}
	settings := e.settings()
	e.registry()
	e.dead()
	e.hangs()

	e.r.Tier, e.r.Possible = TierProc, TierProc
	if e.tracefs {
		e.r.Possible = TierTracefs
	}
	if e.probeWorks {
		e.r.Possible = TierProbe
	}
	probed := e.stays()
	switch {
	case settings.Policy == conf.Off:
		e.r.Tier = TierNone
	case probed:
		e.r.Tier = TierProbe
	case !e.proc:
		e.r.Tier = TierNone
	}
	if e.whole {
		e.r.Tier, e.r.Possible = TierNone, TierNone
		e.add(Note, "in force", "nothing", "a kernel without loadable modules has no loads to guard", "")
		return
	}
	value := "tier " + string(e.r.Tier)
	switch {
	case !e.r.Asked:
		e.add(Warn, "in force", value+", for loads by safeload alone", "the kernel does not start safeload for its own requests", "safeload install")
	case settings.Policy == conf.Off:
		e.add(Warn, "in force", value, "the configuration says policy off", "")
	case e.r.Tier == TierNone:
		e.add(Warn, "in force", value, "/proc is not mounted", "mount /proc")
	default:
		e.add(OK, "in force", value, map[Tier]string{
			TierProc:  "recursions are refused: at once where /proc proves them, else after patience",
			TierProbe: "every hop is exact",
		}[e.r.Tier], "")
	}
	switch {
	case e.r.Tier == e.r.Possible:
	case e.r.Possible == TierProbe:
		fix, why := e.probeFix(), "exact and immediate once the probe stays in the kernel"
		if fix != stayFix {
			why = "exact and immediate while safeload watch runs: this kernel pins no links of perf events (5.15)"
		}
		e.add(Note, "possible", "tier probe", why, fix)
	default:
		e.add(Note, "possible", "tier "+string(e.r.Possible), "a watcher can see and break what others load while it runs", "safeload watch")
	}
}

// dead names the modules that an oops in their init has left coming.
func (e *examination) dead() {
	if e.sys.root != "/" {
		return
	}
	e.r.Dead = survey.Dead()
	for _, m := range e.r.Dead {
		e.add(Bad, "module", m+" is coming, and nobody runs its init any more",
			"an oops has ended the task that did (see the kernel's log): it can neither be loaded nor removed", "reboot to load it")
	}
}

// hangs names the loads that can never move, and those of which that is only likely: what status and diagnose find.
func (e *examination) hangs() {
	if e.sys.root != "/" || e.o.Look == nil {
		return
	}
	const name, fix = "loads now", "safeload diagnose"
	sv, err := e.o.Look()
	if err != nil {
		e.add(Unknown, name, "unknown", whyNot(err), "")
		return
	}
	for _, f := range sv.Findings {
		value := "the load of " + f.Module + " " + f.Kind.Wait()
		switch {
		case f.Certainty != graph.Certain:
			e.r.Likely = append(e.r.Likely, value)
			e.add(Warn, name, value, "likely, not certain: it may only be slow", fix)
		case f.Ours:
			e.r.Hangs = append(e.r.Hangs, value)
			e.add(Note, name, value, "it ends by itself: a safeload that waits in it is about to refuse it", "")
		default:
			e.r.Hangs = append(e.r.Hangs, value)
			e.add(Bad, name, value, "it can never move by itself", fix)
		}
	}
	if len(sv.Findings) == 0 {
		e.add(OK, name, "none waits for itself, or for what the one who asked for it has", "", "")
	}
}

func (e *examination) settings() conf.Settings {
	var dirs, warnings []string
	for _, d := range conf.Dirs {
		dirs = append(dirs, strings.TrimSuffix(e.sys.root, "/")+d)
	}
	s := conf.ReadDirs(dirs, 0, func(m string) { warnings = append(warnings, m) })
	for _, w := range warnings {
		e.add(Warn, "safeload.conf", "not understood or not trusted", w, "")
	}
	value := "policy " + s.Policy.String() + ", patience " + s.Patience.String()
	if s.Patience == 0 {
		value = "policy " + s.Policy.String() + ", no refusal on suspicion"
	}
	if len(s.Exempt) > 0 {
		value += ", exempt: " + strings.Join(s.Exempt, " ")
	}
	e.add(OK, "settings", value, "", "")
	return s
}

func (e *examination) registry() {
	switch kind := e.sys.mounts["/run"]; {
	case kind == "tmpfs":
		e.add(OK, "registry", "/run/safeload", "", "")
	case !e.sys.exists("/run"):
		e.add(Warn, "registry", "none", "there is no /run: invocations see each other in /proc alone", "mount a tmpfs on /run")
	default:
		e.add(Note, "registry", "/run/safeload", "/run is no tmpfs: entries outlast a crash and are then swept", "")
	}
}
