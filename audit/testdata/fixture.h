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
#define EXPORT_DATA(v) \
	const void *__ksymtab_##v __attribute__((section("__ksymtab"), used)) = &v;
struct mutex { long words[6]; };
struct rw_semaphore { long words[8]; };
struct work_struct { long data; void *next, *prev; void (*func)(struct work_struct *work); };
extern void mutex_lock(struct mutex *lock);
extern void mutex_unlock(struct mutex *lock);
extern void down_read(struct rw_semaphore *lock);
extern void up_read(struct rw_semaphore *lock);
extern void down_write(struct rw_semaphore *lock);
extern void up_write(struct rw_semaphore *lock);
extern void downgrade_write(struct rw_semaphore *lock);
extern void rtnl_lock(void);
extern void rtnl_unlock(void);
extern _Bool queue_work_on(int cpu, void *queue, struct work_struct *work);
extern void flush_workqueue(void *queue);
extern unsigned long async_schedule_node(void (*f)(void *data, unsigned long cookie), void *data, int node);
struct device_driver { const char *name; void *bus, *owner; const char *mod_name; _Bool suppress_bind_attrs; int probe_type; const void *of_match_table; };
struct platform_driver { int (*probe)(void *device); void *remove, *shutdown, *suspend, *resume; struct device_driver driver; const void *id_table; };
struct usb_driver { const char *name; int (*probe)(void *interface, const void *id); void *disconnect; const void *id_table; };
extern int __platform_driver_register(struct platform_driver *driver, void *owner);
extern int usb_register_driver(struct usb_driver *driver, void *owner, const char *name);
struct notifier_block { int (*call)(void *nb, unsigned long event, void *device); struct notifier_block *next; int priority; };
extern int register_netdevice_notifier(struct notifier_block *nb);
extern void *__symbol_get(const char *name);
