// SPDX-License-Identifier: GPL-2.0
/*
 * Makes of a running kernel of 32-bit ARM what it would be without CONFIG_CPU_SW_DOMAIN_PAN, which no word on the command
 * line switches off. With that option the kernel may not touch a user's memory but where it says so: at each entry, each
 * return, and each copy it writes the register of domains (DACR). Whenever that is written, an emulated processor forgets
 * all addresses that it has looked up (QEMU, dacr_write): a third of a guest's time.
 *
 * Each such write in the kernel becomes a nop, and the register keeps what it would have without the option. Modules do not
 * matter: they only write what it was before. A processor that is switched on later would not run.
 *
 * init ends with ECANCELED when it has done so, and the module does not stay.
 */
#include <linux/atomic.h>
#include <linux/init.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/stop_machine.h>
#include <asm/domain.h>

#define WRITE		0x0e030f10	/* mcr p15, 0, rN, c3, c0, 0, under any condition */
#define WRITE_MASK	0x0fff0fff
#define NOP		0xe1a00000	/* mov r0, r0 */

/* What modules may not call by name. */
static unsigned long (*lookup)(const char *name);
static void (*patch)(void *addr, unsigned int insn, bool remap);

static u32 *text, *text_end, *idmap, *idmap_end;
static unsigned int patched;
static int patching_cpu;
static atomic_t waiting, over;

/* All processors are here, or one could still run code that takes the access away and not that which gives it back. */
static int nopan(void *unused)
{
	u32 *insn;

	set_domain(DACR_UACCESS_ENABLE);
	if (raw_smp_processor_id() != patching_cpu) {
		atomic_inc(&waiting);
		while (!atomic_read(&over))
			cpu_relax();
		return 0;
	}
	while (atomic_read(&waiting) != num_online_cpus() - 1)
		cpu_relax();
	for (insn = text; insn < text_end; insn++) {
		if (insn >= idmap && insn < idmap_end)
			continue;
		if ((*insn & WRITE_MASK) == WRITE) {
			patch(insn, NOP, true);
			patched++;
		}
	}
	atomic_set(&over, 1);
	return 0;
}

static int __init slnopan_init(void)
{
	struct kprobe probe = { .symbol_name = "kallsyms_lookup_name" };
	int err = register_kprobe(&probe);

	if (err)
		return err;
	lookup = (void *)probe.addr;
	unregister_kprobe(&probe);
	patch = (void *)lookup("__patch_text_real");
	text = (u32 *)lookup("_stext");
	text_end = (u32 *)lookup("_etext");
	idmap = (u32 *)lookup("__idmap_text_start");
	idmap_end = (u32 *)lookup("__idmap_text_end");
	if (!patch || !text || !text_end || !idmap || !idmap_end)
		return -ENOENT;

	patching_cpu = cpumask_first(cpu_online_mask);
	err = stop_machine(nopan, NULL, cpu_online_mask);
	if (err)
		return err;
	pr_info("slnopan: %u writes of the DACR taken out\n", patched);
	return patched ? -ECANCELED : -ENOENT;
}
module_init(slnopan_init);

MODULE_DESCRIPTION("no software PAN in a guest of 32-bit ARM");
MODULE_LICENSE("GPL");
