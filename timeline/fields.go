// SPDX-License-Identifier: Apache-2.0

package timeline

import "strconv"

// Fields are what a log entry says, as fields of systemd's journal (systemd.journal-fields(7)). What is not known has none.
func (e Entry) Fields() map[string]string {
	f := make(map[string]string)
	set := func(name, value string) {
		if value != "" {
			f["SAFELOAD_"+name] = value
		}
	}
	if o := e.Load; o != nil {
		set("TYPE", "load")
		set("MODULE", underscored(o.Module))
		set("RESULT", o.result())
		if o.Ret < 0 {
			set("ERRNO", strconv.FormatInt(-int64(o.Ret), 10))
		}
		set("DURATION_USEC", strconv.FormatInt(o.Took().Microseconds(), 10))
		setTask(set, "", o.PID, o.Comm, o.Who)
		if q := o.Asked; q != nil {
			set("REQUEST", q.Name)
			setTask(set, "ASKED_", q.PID, q.Comm, q.Who)
		}
		return f
	}
	q := e.Request
	set("TYPE", "request")
	set("REQUEST", q.Name)
	set("RESULT", q.outcome())
	set("DURATION_USEC", strconv.FormatInt((q.End-q.Begin).Microseconds(), 10))
	if q.Load != nil {
		set("FOR_MODULE", underscored(q.Load.Module))
	}
	setTask(set, "ASKED_", q.PID, q.Comm, q.Who)
	return f
}

// setTask sets the fields about a task, which begin alike.
func setTask(set func(name, value string), begin string, pid uint32, comm string, w *Who) {
	set(begin+"PID", decimal(pid))
	set(begin+"COMM", comm)
	if w == nil {
		return
	}
	set(begin+"UID", decimal(w.UID))
	if w.Login != nil {
		set(begin+"LOGINUID", decimal(*w.Login))
	}
	set(begin+"UNIT", w.Unit)
	set(begin+"CONTAINER", w.Container)
	set(begin+"CGROUP", w.Cgroup)
	if n := len(w.Inside); n > 0 {
		set(begin+"PID_INSIDE", decimal(w.Inside[n-1]))
	}
}
