# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: things that cannot be loaded: exit code and words as kmod's, never a panic
# kernels: all
# matrix: arm-6.12 amd64-6.12 *-own
# boot: main
# limit: 150
# modules: dummy
# copies: e0 e1
#
# Both programs run in the same guest, on the same tree.
tree=/tmp/tree
fresh_tree() {
	dir=$tree/lib/modules/$kver
	rm -rf $tree
	mkdir -p "$dir"
	ln -s "/lib/modules/$kver/kernel" "$dir/kernel"
	cp -a "/lib/modules/$kver"/modules.* "/lib/modules/$kver/updates" "$dir/"
}

# same TEXT ARG...: both modprobes with these arguments; exit code, standard output and standard error.
same() {
	_t=$1; shift
	/stock/modprobe "$@" >/tmp/e.out1 2>/tmp/e.err1 </dev/null; _rc1=$?
	unload slreq_e0 slreq_e1 dummy
	/safe/modprobe "$@" >/tmp/e.out2 2>/tmp/e.err2 </dev/null; _rc2=$?
	unload slreq_e0 slreq_e1 dummy
	want "$_t: no panic" lacks /tmp/e.err2 "goroutine\|panic:\|runtime error"
	if [ $_rc1 -ge 128 ]; then
		# kmod follows an offset out of a damaged index into whatever is mapped there, and dies of some of it.
		log "$case: $_t: kmod itself is ended by signal $((_rc1 - 128)): $(head -n 1 /tmp/e.err1)"
		want "$_t: safeload is not" [ $_rc2 -lt 128 ]
		return
	fi
	want "$_t: exit code as kmod's ($_rc1)" [ "$_rc1" = "$_rc2" ]
	want "$_t: standard output as kmod's" cmp -s /tmp/e.out1 /tmp/e.out2
	sed -i 's|/stock/modprobe|/safe/modprobe|g' /tmp/e.err1
	want "$_t: standard error as kmod's" cmp -s /tmp/e.err1 /tmp/e.err2
	cmp -s /tmp/e.err1 /tmp/e.err2 || { sed 's/^/#L# errors: kmod: /' /tmp/e.err1; sed 's/^/#L# errors: safeload: /' /tmp/e.err2; }
}

check() {
	same "a name that does not exist" no-such-module-anywhere
	same "the same, quietly" -q no-such-module-anywhere
	same "an option that does not exist" --no-such-option
	same "no name" -r

	fresh_tree; : >"$dir/updates/slreq_e0.ko"
	same "an empty file" -d $tree slreq_e0
	fresh_tree; head -c 3000 "$dir/updates/slreq_e1.ko" >"$dir/updates/slreq_e0.ko"
	same "a truncated module" -d $tree slreq_e0
	fresh_tree; tr '\000-\377' '\100-\377\000-\077' <"$dir/updates/slreq_e1.ko" >"$dir/updates/slreq_e0.ko"
	same "a damaged module" -d $tree slreq_e0
	fresh_tree; wrong_arch "$dir/updates/slreq_e0.ko"
	same "a module of another architecture" -d $tree slreq_e0
	fresh_tree; rm "$dir/updates/slreq_e0.ko"
	same "a file that is missing" -d $tree slreq_e0
	fresh_tree; rm "$dir/modules.dep.bin"
	same "no modules.dep.bin" -d $tree dummy
	fresh_tree; rm "$dir"/modules.*
	same "no index at all" -d $tree dummy
	for _index in modules.dep.bin modules.alias.bin modules.builtin.bin; do
		for _size in 0 8 100; do
			fresh_tree; head -c $_size "$dir/$_index" >"$dir/cut"; mv "$dir/cut" "$dir/$_index"
			same "$_index cut to $_size bytes" -d $tree slreq_e0
		done
	done
	same "no tree" -d /tmp/nothing-here dummy
	same "a parameter that does not exist" slreq_e0 no_such_parameter=1
	same "a parameter that is wrong" slreq_e0 delay_ms=soon
	same "an init that fails" slreq_e0 fail=19
	rm -rf $tree
}

# wrong_arch FILE: the e_machine field becomes that of a machine that no guest is (s390).
wrong_arch() { printf '\026\000' | dd of="$1" bs=1 seek=18 conv=notrunc 2>/dev/null; }
