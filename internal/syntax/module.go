// SPDX-License-Identifier: Apache-2.0

package syntax

// ModuleExt reports whether path ends as a module's file does and is more than that. It is path_ends_with_kmod_ext of kmod.
func ModuleExt(path string) bool {
	for _, ext := range [...]string{".ko", ".ko.gz", ".ko.xz", ".ko.zst"} {
		if len(path) > len(ext) && path[len(path)-len(ext):] == ext {
			return true
		}
	}
	return false
}
