// SPDX-License-Identifier: GPL-2.0
/* Needs slprov: modules.dep makes every loader submit slprov first. */
#include <linux/errno.h>
#include <linux/init.h>
#include <linux/module.h>

int slprov_answer(void);

static int __init sluse_init(void)
{
	return slprov_answer() == 42 ? 0 : -EINVAL;
}

static void __exit sluse_exit(void)
{
}

module_init(sluse_init);
module_exit(sluse_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("safeload test: depends on slprov");
