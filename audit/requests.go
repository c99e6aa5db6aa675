// SPDX-License-Identifier: Apache-2.0

package audit

// requestKind is what a function makes of the name it is given.
type requestKind uint8

const (
	// requestFormat: __request_module(wait, fmt, …), kernel/module/kmod.c.
	requestFormat requestKind = iota + 1
	// requestPrefix: a prefix, then the string argument.
	requestPrefix
	// requestNumber: a prefix, then the number.
	requestNumber
	// requestCrypto: an algorithm by name, type and mask, crypto/api.c.
	requestCrypto
	// requestFixed: always the same name.
	requestFixed
)

// requester is an exported function of the kernel proper that requests modules.
// Functions that modules export need no entry: their code tells.
type requester struct {
	kind   requestKind
	prefix string
	name   int // the argument that has the name
	typ    int // crypto: the arguments that have type and mask, -1 if none
	mask   int
	// forced is ORed to the mask, of the type class.
	class  uint32
	cmask  uint32
	forced uint32
	// registrar, if reached before by the same module, means that it finds
	// itself without asking.
	registrar string
}

func cryptoCall(name, typ, mask int, class, cmask uint32) requester {
	return requester{kind: requestCrypto, name: name, typ: typ, mask: mask, class: class, cmask: cmask}
}

// requesters: the function that asks is named where it is not the entry itself.
var requesters = map[string]requester{
	"__request_module": {kind: requestFormat, name: 1},

	// Types and masks are those of the frontends, crypto/{skcipher,aead,ahash,shash,…}.c.
	"crypto_alloc_skcipher":      cryptoCall(0, 1, 2, typeSKCipher, 0xe),
	"crypto_alloc_sync_skcipher": {kind: requestCrypto, name: 0, typ: 1, mask: 2, class: typeSKCipher, cmask: 0xe, forced: algAsync},
	"crypto_alloc_lskcipher":     cryptoCall(0, 1, 2, typeLSKCipher, algTypeMask),
	"crypto_alloc_aead":          cryptoCall(0, 1, 2, typeAEAD, algTypeMask),
	"crypto_alloc_ahash":         cryptoCall(0, 1, 2, typeAhash, 0xe),
	"crypto_alloc_shash":         cryptoCall(0, 1, 2, typeShash, algTypeMask),
	"crypto_alloc_akcipher":      cryptoCall(0, 1, 2, 6, algTypeMask),
	"crypto_alloc_sig":           cryptoCall(0, 1, 2, 7, algTypeMask),
	"crypto_alloc_kpp":           cryptoCall(0, 1, 2, 8, algTypeMask),
	"crypto_alloc_acomp":         cryptoCall(0, 1, 2, 0xa, 0xe),
	"crypto_alloc_acomp_node":    cryptoCall(0, 1, 2, 0xa, 0xe),
	"crypto_alloc_rng":           cryptoCall(0, 1, 2, 0xc, algTypeMask),
	"crypto_alloc_base":          cryptoCall(0, 1, 2, 0, 0),
	"crypto_alloc_tfm":           cryptoCall(0, -1, -1, 0, 0),
	"crypto_alloc_tfm_node":      cryptoCall(0, 2, 3, 0, 0),
	"crypto_alg_mod_lookup":      cryptoCall(0, 1, 2, 0, 0),
	"crypto_find_alg":            cryptoCall(0, 2, 3, 0, 0),
	"crypto_has_alg":             cryptoCall(0, 1, 2, 0, 0),
	"crypto_has_skcipher":        cryptoCall(0, 1, 2, typeSKCipher, 0xe),
	"crypto_has_ahash":           cryptoCall(0, 1, 2, typeAhash, 0xe),
	"crypto_has_shash":           cryptoCall(0, 1, 2, typeShash, algTypeMask),
	"crypto_has_aead":            cryptoCall(0, 1, 2, typeAEAD, algTypeMask),
	"crypto_has_kpp":             cryptoCall(0, 1, 2, 8, algTypeMask),
	"crypto_grab_skcipher":       cryptoCall(2, 3, 4, typeSKCipher, 0xe),
	"crypto_grab_lskcipher":      cryptoCall(2, 3, 4, typeLSKCipher, algTypeMask),
	"crypto_grab_aead":           cryptoCall(2, 3, 4, typeAEAD, algTypeMask),
	"crypto_grab_ahash":          cryptoCall(2, 3, 4, typeAhash, 0xe),
	"crypto_grab_shash":          cryptoCall(2, 3, 4, typeShash, algTypeMask),
	"crypto_grab_akcipher":       cryptoCall(2, 3, 4, 6, algTypeMask),
	"crypto_grab_kpp":            cryptoCall(2, 3, 4, 8, algTypeMask),
	"crypto_grab_spawn":          cryptoCall(2, 3, 4, 0, 0),
	"crypto_get_default_rng":     {kind: requestCrypto, name: -1, prefix: "stdrng", typ: -1, mask: -1, class: 0xc, cmask: algTypeMask},

	"get_fs_type":            {kind: requestPrefix, prefix: "fs-", name: 0, registrar: "register_filesystem"},              // fs/filesystems.c
	"load_nls":               {kind: requestPrefix, prefix: "nls_", name: 0, registrar: "__register_nls"},                  // fs/nls/nls_base.c
	"sock_create":            {kind: requestNumber, prefix: "net-pf-", name: 0, registrar: "sock_register"},                // net/socket.c, __sock_create
	"sock_create_kern":       {kind: requestNumber, prefix: "net-pf-", name: 1, registrar: "sock_register"},                // net/socket.c
	"__sock_create":          {kind: requestNumber, prefix: "net-pf-", name: 1, registrar: "sock_register"},                // net/socket.c
	"dev_load":               {kind: requestPrefix, prefix: "netdev-", name: 1},                                            // net/core/dev_ioctl.c
	"tcp_ca_get_key_by_name": {kind: requestPrefix, prefix: "tcp_", name: 1, registrar: "tcp_register_congestion_control"}, // net/ipv4/tcp_cong.c
	"inet_ctl_sock_create":   {kind: requestNumber, prefix: "net-pf-", name: 1, registrar: "sock_register"},                // net/ipv4/af_inet.c
	"udp_sock_create4":       {kind: requestFixed, prefix: "net-pf-2", registrar: "sock_register"},                         // net/ipv4/udp_tunnel_core.c
	"udp_sock_create6":       {kind: requestFixed, prefix: "net-pf-10", registrar: "sock_register"},                        // net/ipv6/ip6_udp_tunnel.c
}

// registrars are the functions after which a request of the same family finds
// the registered thing.
var registrars = map[string]bool{}

func init() {
	for _, r := range requesters {
		if r.registrar != "" {
			registrars[r.registrar] = true
		}
	}
}

// common are imported functions of the kernel proper that are called all over
// and never request; leaving them out keeps the facts small.
var common = set(`_printk printk __warn_printk _dev_err _dev_warn _dev_info kfree kvfree kmalloc __kmalloc
	kmalloc_trace kmem_cache_alloc_trace __kmalloc_noprof __kmalloc_cache_noprof kmalloc_order_trace
	kmem_cache_alloc kmem_cache_free vmalloc vfree memcpy memset memmove memcmp strcmp strncmp strlen strcpy strscpy
	strlcpy snprintf sprintf scnprintf mutex_lock mutex_unlock __mutex_init _raw_spin_lock _raw_spin_unlock
	_raw_spin_lock_irqsave _raw_spin_unlock_irqrestore _raw_spin_lock_irq _raw_spin_unlock_irq _raw_spin_lock_bh
	_raw_spin_unlock_bh __stack_chk_fail __raw_spin_lock_init init_timer_key mod_timer del_timer_sync del_timer
	schedule schedule_timeout msleep usleep_range_state __wake_up complete wait_for_completion
	wait_for_completion_timeout __init_waitqueue_head prepare_to_wait_event finish_wait init_wait_entry
	queue_work_on queue_delayed_work_on cancel_work_sync cancel_delayed_work_sync destroy_workqueue alloc_workqueue
	flush_work __const_udelay arm_delay_ops __udelay jiffies __list_add_valid __list_del_entry_valid
	__list_add_valid_or_report __list_del_entry_valid_or_report refcount_warn_saturate __put_device put_device get_device
	device_add device_del device_register device_unregister driver_unregister pci_unregister_driver
	module_put try_module_get __dynamic_pr_debug __dynamic_dev_dbg ___ratelimit kstrdup kmemdup kasprintf
	copy_from_user copy_to_user _copy_from_user _copy_to_user __copy_overflow arm_copy_from_user arm_copy_to_user
	__arch_copy_from_user __arch_copy_to_user devm_kmalloc devm_kfree up down rtnl_lock rtnl_unlock synchronize_rcu
	kfree_skb_reason consume_skb __alloc_skb skb_put skb_push skb_pull free_percpu __alloc_percpu capable
	seq_printf seq_puts seq_putc debugfs_create_dir debugfs_create_file debugfs_remove proc_create remove_proc_entry
	ktime_get fortify_panic __fortify_panic __ubsan_handle_load_invalid_value sysfs_create_group sysfs_remove_group`)
