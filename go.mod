module safeload

go 1.26.0

require golang.org/x/sys v0.49.0

require (
	github.com/cilium/ebpf v0.22.0
	github.com/klauspost/compress v1.20.3
	github.com/mikelolasagasti/xz v1.0.1
	github.com/ulikunitz/xz v0.5.17
	golang.org/x/arch v0.32.0
)

tool github.com/cilium/ebpf/cmd/bpf2go
