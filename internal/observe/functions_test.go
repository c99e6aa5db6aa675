// SPDX-License-Identifier: Apache-2.0

package observe

import "testing"

// What kernels that were seen show, and what it means.
func TestFunctions(t *testing.T) {
	type meaning struct{ requesting, request, wait, timed, flush, item, idle, manager bool }
	request := meaning{requesting: true, request: true}
	load := meaning{wait: true}
	item := meaning{flush: true, item: true}
	for wchan, want := range map[string]meaning{
		"call_usermodehelper_exec":     request,
		"__request_module":             {requesting: true}, // the limit of 50 at once
		"kmod_dup_request_exists_wait": {requesting: true}, // MODULE_DEBUG_AUTOLOAD_DUPS, 6.4

		"idempotent_wait_for_completion": load, // 6.11
		"idempotent_init_module":         load, // 6.5 to 6.10, and where it is inlined
		"idempotent_init_module.isra.0":  load,
		"init_module_from_file":          load,
		"add_unformed_module":            load, // 6.1
		"module_patient_check_exists":    load, // 6.4
		"__do_sys_finit_module":          load,
		"__arm64_sys_finit_module":       load,
		"__x64_sys_init_module":          load,

		"msleep":                      {timed: true},
		"schedule_timeout":            {timed: true},
		"wait_for_completion_timeout": {timed: true},
		"do_nanosleep":                {timed: true, idle: true},
		"_request_firmware":           {timed: true},

		"__flush_work":                    item,
		"__cancel_work_timer":             item, // before 6.9
		"__cancel_work_sync":              item, // since
		"__flush_workqueue":               {flush: true},
		"async_synchronize_cookie_domain": {flush: true},

		"do_epoll_wait":         {idle: true},
		"ep_poll":               {idle: true},
		"futex_wait_queue":      {idle: true},
		"poll_schedule_timeout": {idle: true, timed: true},

		"crypto_wait_for_test": {manager: true},
		"crypto_larval_wait":   {manager: true},

		"do_wait":                   {},
		"io_schedule":               {},
		"wait_for_completion":       {}, // of what, nothing says
		"call_usermodehelper_execs": {},
		"":                          {},
	} {
		got := meaning{IsRequesting(wchan), isRequest(wchan), IsWait(wchan), IsTimed(wchan), isFlush(wchan), isItemFlush(wchan), isIdle(wchan), awaitsManager(wchan)}
		if got != want {
			t.Errorf("%s means %+v, want %+v", wchan, got, want)
		}
	}
}
