/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* What a module's object file has in common with a real one, without the kernel's headers. */
extern int __request_module(_Bool wait, const char *format, ...);
#define INFO_(line, text) \
	static const char info_##line[] __attribute__((section(".modinfo"), used, aligned(1))) = text;
#define INFO__(line, text) INFO_(line, text)
#define INFO(text) INFO__(__LINE__, text)
#define EXPORT(f) \
	const void *__ksymtab_##f __attribute__((section("__ksymtab"), used)) = f;
#define noinline __attribute__((noinline))
