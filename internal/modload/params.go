// SPDX-License-Identifier: Apache-2.0

package modload

// JoinParams makes the parameter string of a module from arguments, with
// quotes around a value with blanks.
func JoinParams(args []string) string {
	var out []byte
	for _, a := range args {
		if len(out) > 0 {
			out = append(out, ' ')
		}
		key := 0
		for key < len(a) && a[key] != '=' {
			key++
		}
		if key == len(a) {
			out = append(out, a...)
			continue
		}
		value := a[key+1:]
		blank := false
		if value != "" && value[0] != '"' && value[0] != '\'' {
			for i := 0; i < len(value); i++ {
				blank = blank || value[i] == ' '
			}
		}
		out = append(out, a[:key+1]...)
		if blank {
			out = append(out, '"')
		}
		out = append(out, value...)
		if blank {
			out = append(out, '"')
		}
	}
	return string(out)
}
