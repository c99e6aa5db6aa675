# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# bash completion for safeload and safeload-modprobe

_safeload_modules() {
	sed -n 's,^\([^:]*/\)\{0,1\}\([^/:.]*\)\.ko[^:]*:.*,\2,p' "/lib/modules/$(uname -r)/modules.dep" 2>/dev/null
}

_safeload_loaded() {
	cut -d' ' -f1 /proc/modules 2>/dev/null
}

_safeload_options() {
	case $1 in
	audit) echo "-C -S -a --baseline --config -d --dirname --fail-on --html --json --sarif --set-version --svg" ;;
	coldplug) echo "--in-order --jobs -n" ;;
	depmod) echo "-a --all -A --quick -b --basedir -m --moduledir -o --outdir -C --config -E --symvers -F --filesyms -e --errsyms -v --verbose -n --show -P --symbol-prefix -w --warn -V --version -h --help" ;;
	diagnose) echo "--dot --free --json --svg" ;;
	doctor) echo "--json --probe -v" ;;
	insmod) echo "-f --force --force-modversion --force-vermagic -s --syslog -v --verbose -V --version -h --help" ;;
	install) echo "--helper -n --root --via" ;;
	kmod) echo "-V --version -h --help" ;;
	lsmod) echo "-s --syslog -v --verbose -V --version -h --help" ;;
	modinfo) echo "-a --author -d --description -l --license -p --parameters -n --filename -0 --null -m --modname -F --field -k --set-version -b --basedir -V --version -h --help" ;;
	modprobe) echo "-a --all -r --remove --remove-holders -w --wait --first-time -i --ignore-install -i --ignore-remove -b --use-blacklist -f --force --force-modversion --force-vermagic -R --show-alias -D --show-depends -c --show-config --show-modversions --show-exports -n --dry-run -C --config -d --dirname -S --set-version -s --syslog -q --quiet -v --verbose -V --version -h --help" ;;
	modules-load) echo "--in-order --jobs -n" ;;
	probe) echo "--json --patience" ;;
	rmmod) echo "-f --force -s --syslog -v --verbose -V --version -h --help" ;;
	status) echo "--dot --json --svg" ;;
	log) echo "--follow --json --module --since --uid --unit" ;;
	why) echo "--record" ;;
	timeline) echo "--html --json --svg --text" ;;
	uninstall) echo "-n --root" ;;
	watch) echo "--break --duration --journal --json --lines --once --pin --ready-file --record --source -v" ;;
	esac
}

_safeload() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} cmd
	COMPREPLY=()
	case ${COMP_WORDS[0]##*/} in
	safeload-modprobe) cmd=modprobe ;;
	*)
		if [ "$COMP_CWORD" -eq 1 ]; then
			mapfile -t COMPREPLY < <(compgen -W "audit coldplug depmod diagnose doctor insmod install kmod load log lsmod modinfo modprobe modules-load probe rmmod status timeline uninstall unload version watch why help" -- "$cur")
			return
		fi
		cmd=${COMP_WORDS[1]}
		;;
	esac
	case $cmd:$prev in
	kmod:kmod) mapfile -t COMPREPLY < <(compgen -W "help list static-nodes" -- "$cur"); return ;;
	install:--via) mapfile -t COMPREPLY < <(compgen -W "sysctl divert" -- "$cur"); return ;;
	watch:--source) mapfile -t COMPREPLY < <(compgen -W "bpf tracefs proc" -- "$cur"); return ;;
	log:--module) mapfile -t COMPREPLY < <(compgen -W "$(_safeload_loaded)" -- "$cur"); return ;;
	audit:--fail-on) mapfile -t COMPREPLY < <(compgen -W "certain likely possible" -- "$cur"); return ;;
	install:--root | uninstall:--root | audit:-d | audit:--dirname | watch:--pin | modprobe:-d | modprobe:--dirname | modinfo:-b | modinfo:--basedir)
		mapfile -t COMPREPLY < <(compgen -d -- "$cur")
		return
		;;
	install:--helper | audit:-C | audit:--config | audit:--baseline | watch:--ready-file | watch:--record | why:--record | modprobe:-C | modprobe:--config)
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
		;;
	audit:-S | audit:--set-version | modprobe:-S | modprobe:--set-version | modinfo:-k | modinfo:--set-version)
		mapfile -t COMPREPLY < <(cd /lib/modules 2>/dev/null && compgen -d -- "$cur")
		return
		;;
	esac
	case $cur in
	-*) mapfile -t COMPREPLY < <(compgen -W "$(_safeload_options "$cmd")" -- "$cur") ;;
	*)
		case $cmd in
		load | insmod) mapfile -t COMPREPLY < <(compgen -f -X '!*.ko*' -- "$cur"; compgen -d -- "$cur") ;;
		unload | rmmod | why) mapfile -t COMPREPLY < <(compgen -W "$(_safeload_loaded)" -- "$cur") ;;
		modprobe | modinfo)
			case $cur in
			*/*) mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
			*) mapfile -t COMPREPLY < <(compgen -W "$(_safeload_modules)" -- "$cur") ;;
			esac
			;;
		audit) mapfile -t COMPREPLY < <(compgen -d -- "$cur") ;;
		timeline | log) mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
		probe) mapfile -t COMPREPLY < <(compgen -W "load status unload" -- "$cur") ;;
		esac
		;;
	esac
}
complete -F _safeload safeload safeload-modprobe
