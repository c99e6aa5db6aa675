#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs every test there is, or the named steps. See CONTRIBUTING.md.
set -u

usage() {
	cat <<-'USAGE'
		usage: test.sh [STEP...]      all steps if none is named
		       test.sh --list         the steps

		Exit status: 0 all passed, 1 something failed, 2 usage. The last line reads "N passed, N failed".
		scripts/deps.sh lists the packages that this needs.
	USAGE
}

cd "$(dirname "$0")/.." || exit 1
PATH=$PATH:/usr/local/go/bin:/usr/sbin:/sbin

# Each step is a function step_NAME; its minutes are a limit, not a measure.
# All together get total minutes: the last steps have what is left.
total=85
steps=(
	"format    2" "modules   5" "vet      10" "lint     10" "shell     2" "man       1" "generate  3"
	"unit     12" "build    10" "diff     15" "audit     8" "package  15" "vm       75"
)

step_format() {
	local bad
	bad=$(git ls-files -z '*.go' | xargs -0 gofmt -l) || return 1
	[ -z "$bad" ] || { echo "gofmt: $bad"; return 1; }
	bad=$(git ls-files -- '*.go' '*.s' '*.sh' '*.c' '*.h' ':!*_bpfel.go' | xargs -I{} find {} -size +0 | xargs grep -L 'SPDX-License-Identifier:')
	[ -z "$bad" ] || { echo "without SPDX line: $bad"; return 1; }
}

step_modules() { go mod verify && go mod tidy -diff; }

step_vet() {
	go vet ./... && GOARCH=arm GOARM=6 go vet ./... && GOARCH=arm64 go vet ./...
}

# go tool would build the linter itself for arm.
step_lint() {
	go build -o "$work/staticcheck" honnef.co/go/tools/cmd/staticcheck &&
		"$work/staticcheck" ./... && GOARCH=arm GOARM=6 "$work/staticcheck" ./...
}

step_shell() {
	git ls-files '*.sh' .ci/run | xargs shellcheck -x
}

step_man() {
	git ls-files 'man/*.[1-8]' | xargs --no-run-if-empty mandoc -Tlint -W warning
}

# What is generated and committed must be what its sources give.
step_generate() {
	local tree=$work/generate f
	mkdir "$tree" && git ls-files -z | tar --null --ignore-failed-read -T - -c | tar -x -C "$tree" || return 1
	(cd "$tree" && go generate ./...) || return 1
	for f in $(git ls-files '*_bpfel.*'); do
		cmp "$f" "$tree/$f" || { echo "$f: run 'go generate ./...' and commit the result"; return 1; }
	done
}

# A skipped test is named with its reason: it has not passed.
step_unit() {
	local json=$work/unit.json code
	go test -race -json ./... >"$json"
	code=$?
	grep -E '"Action":"output"' "$json" |
		sed -nE 's/.*"Output":"((--- FAIL|FAIL|panic|    [a-z_0-9]+_test\.go:)[^"]*)\\n".*/\1/p' >"$work/unit.out"
	if [ $code != 0 ]; then
		cat "$work/unit.out"
		grep '"Action":"build-output"' "$json"
	fi
	count "$(grep -c '"Action":"pass".*"Test":' "$json")" "$(grep -c '"Action":"fail".*"Test":' "$json")"
	grep '"Action":"skip"' "$json" | sed -nE 's/.*("Package":"[^"]*","Test":"[^"]*").*/\1/p' |
		while read -r test; do
			grep -F "\"Action\":\"output\",$test,\"Output\":\"    " "$json" |
				sed -nE 's/.*"Package":"([^"]*)","Test":"([^"]*)","Output":" *(.*)\\n".*/skipped: \1 \2: \3/p'
		done
	return $code
}

step_build() { counted scripts/build-test.sh; }
step_diff() { counted scripts/diff-test.sh; }
step_audit() { counted scripts/audit-test.sh; }
step_package() { counted scripts/pkg-test.sh --boot; }
step_vm() { counted scripts/vm-test.sh; }

# count PASSED FAILED: a step that counts its own tests. Others count as one.
count() { echo "$1 $2" >"$work/count"; }

# counted COMMAND...: takes the counts from the command's last line, which must be there.
counted() {
	local code last
	"$@" 2>&1 | tee "$work/counted"
	code=${PIPESTATUS[0]}
	last=$(tail -n 1 "$work/counted")
	if [[ $last =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed ]]; then
		count "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}"
	else
		echo "$*: the last line is not 'N passed, N failed'"
		return 1
	fi
	return "$code"
}

# within MINUTES FUNCTION: ends it, and all that it started, after that time.
within() {
	local pid watch code
	set -m
	"$2" &
	pid=$!
	(
		sleep $(($1 * 60))
		echo "TIMEOUT: not done after $1 minutes"
		kill -TERM -- -"$pid"
		sleep 20
		kill -KILL -- -"$pid"
	) 2>/dev/null &
	watch=$!
	set +m
	wait "$pid"
	code=$?
	kill -KILL -- -"$watch" 2>/dev/null
	wait "$watch" 2>/dev/null
	return $code
}

names=" $(printf '%s\n' "${steps[@]}" | awk '{printf "%s ", $1}')"
case ${1-} in
-h | --help) usage; exit 0 ;;
--list) tr ' ' '\n' <<<"$names" | sed '/^$/d'; exit 0 ;;
esac
for name; do
	case $names in *" $name "*) ;; *) usage >&2; exit 2 ;; esac
done
wanted=" $* "

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
passed=0 failed=0 summary=()
started=$SECONDS
for step in "${steps[@]}"; do
	read -r name minutes <<<"$step"
	[ $# -eq 0 ] || case $wanted in *" $name "*) ;; *) continue ;; esac
	printf '=== %s\n' "$name"
	rm -f "$work/count"
	left=$((total - (SECONDS - started) / 60))
	[ "$left" -ge 1 ] || left=1
	[ "$minutes" -le "$left" ] || minutes=$left
	before=$SECONDS verdict=passed p=1 f=0
	within "$minutes" "step_$name" || verdict=FAILED p=0 f=1
	[ ! -e "$work/count" ] || read -r p f <"$work/count"
	# Whatever a step counts, one that failed has a failure.
	[ $verdict = passed ] || [ "$f" -gt 0 ] || f=1
	[ "$f" -eq 0 ] || verdict=FAILED
	passed=$((passed + p)) failed=$((failed + f))
	line=$(printf '%-9s %s: %d passed, %d failed in %d s' "$name" "$verdict" "$p" "$f" $((SECONDS - before)))
	summary+=("$line")
	printf -- '--- %s\n' "$line"
done
printf '\n'
printf '%s\n' "${summary[@]}"
printf 'all in %d s\n' $((SECONDS - started))
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
