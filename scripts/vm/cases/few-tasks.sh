# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: loads in a cgroup that lets them have but few tasks: a look at who waits for whom never ends them
# kernels: all
# matrix: arm-6.12 amd64-6.12
# boot: main
# limit: 60
# copies: t7
setup() { echo "options slreq_t7 hold_ms=5000" | conf few-tasks; }

few=/sys/fs/cgroup/few-tasks

# among TASKS PROGRAM: a load of a module whose init runs, by a process that may have so many tasks.
among() {
	mkdir "$few-$1"
	echo "$1" >"$few-$1/pids.max"
	start "few-$1" sh -c 'echo $$ >"$1/cgroup.procs" && exec "$2" slreq_t7' sh "$few-$1" "$2"
}

# loads PROGRAM TASKS...: one after the other, while the first one's init runs.
loads() {
	_program=$1; shift
	echo +pids >/sys/fs/cgroup/cgroup.subtree_control
	start few-first "$_program" slreq_t7
	want "its init runs" wait_for 20 is slreq_t7 coming
	for _max; do among "$_max" "$_program"; done
	for _max; do
		finish "few-$_max" 40
		want "of $_max tasks: ends with 0" [ "$rc" = 0 ]
		want "of $_max tasks: prints nothing" [ ! -s "$out" ]
	done
	finish few-first 40
	want "the first one ends with 0" [ "$rc" = 0 ]
	want "it is live" is slreq_t7 live
	unload slreq_t7
	for _max; do rmdir "$few-$_max"; done
	echo -pids >/sys/fs/cgroup/cgroup.subtree_control
}

stock() { loads /stock/modprobe 1 2; }

# Go's runtime has three by the time main runs, and one more to load.
check() { loads /safe/modprobe 4 5 6 7 8; }
