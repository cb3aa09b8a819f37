/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* What every probe's program needs of the kernel: its helpers, its map notation, and the few fields that are read.
 * The structs name only those fields; CO-RE moves them to where the running kernel has them. */
#ifndef AFTERPATH_KERNEL_H
#define AFTERPATH_KERNEL_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef int s32;
typedef unsigned long long u64;
typedef long long s64;

#define SEC(name) __attribute__((section(name), used))
#define INLINE static inline __attribute__((always_inline))
/* A subprogram: its code stands once, not at every call. */
#define CALLED static __attribute__((noinline))
#define CORE __attribute__((preserve_access_index))
#define NULL ((void *)0)

/* Map notation of BTF-defined maps. */
#define MAP_UINT(name, value) int (*name)[value]
#define MAP_TYPE(name, type) type *name
enum { HASH = 1, ARRAY = 2, PERCPU_ARRAY = 6, LRU_HASH = 9, RINGBUF = 27 };

/* Helpers by number (include/uapi/linux/bpf.h). */
static void *(*map_lookup)(void *map, const void *key) = (void *)1;
static long (*map_update)(void *map, const void *key, const void *value, u64 flags) = (void *)2;
static long (*map_delete)(void *map, const void *key) = (void *)3;
static u32 (*processor)(void) = (void *)8;
static u64 (*get_current_pid_tgid)(void) = (void *)14;
static long (*get_current_comm)(void *buffer, u32 size) = (void *)16;
static u64 (*get_current_cgroup_id)(void) = (void *)80;
static long (*read_user)(void *to, u32 size, const void *from) = (void *)112;
static long (*read_kernel)(void *to, u32 size, const void *from) = (void *)113;
static long (*read_kernel_text)(void *to, u32 size, const void *from) = (void *)115;
static u64 (*get_current_ancestor_cgroup_id)(int level) = (void *)123;
static u64 (*boottime_ns)(void) = (void *)125;
static long (*ringbuf_output)(void *ring, const void *data, u64 size, u64 flags) = (void *)130;
static struct task_struct *(*current_task)(void) = (void *)158;

/* The collector drains by a timer: a wake-up per event makes system calls several times slower. */
#define NO_WAKEUP 1

/* The recorder and its broker are never recorded. */
#define OWN_PROCESSES                                                                              \
    const volatile u32 own_pid = 0;                                                                \
    const volatile u32 own_broker = 0;                                                             \
    INLINE int is_own(u32 pid) { return pid == own_pid || (own_broker && pid == own_broker); }

/* Counters of each processor, mapped into the recorder's memory: a map that is read by bpf(2) keeps every program off that processor
 * meanwhile, and what they miss then is lost. */
#define MAX_PROCESSORS 1024
#define COUNTS(name, n_counts)                                                                     \
    struct {                                                                                       \
        MAP_UINT(type, ARRAY);                                                                     \
        MAP_UINT(map_flags, 1 << 10 /* BPF_F_MMAPABLE */);                                         \
        MAP_UINT(max_entries, (n_counts) * MAX_PROCESSORS);                                        \
        MAP_TYPE(key, u32);                                                                        \
        MAP_TYPE(value, u64);                                                                      \
    } name SEC(".maps")

INLINE void count_in(void *counts, u32 n_counts, u32 what, u64 n)
{
    u32 at = processor() % MAX_PROCESSORS * n_counts + what;
    u64 *value = map_lookup(counts, &at);
    if (value)
        __sync_fetch_and_add(value, n);
}

/* Reads one field of a kernel struct behind a pointer that the verifier does not know. */
#define READ(to, from) read_kernel(&(to), sizeof(to), __builtin_preserve_access_index(&(from)))

/* Keeps a bound that the compiler would reason away before the verifier sees it. */
#define BOUND(value, limit)                                                                        \
    do {                                                                                           \
        if ((value) > (limit))                                                                     \
            (value) = (limit);                                                                     \
        asm volatile("" : "+r"(value));                                                            \
    } while (0)

/* Keeps the low bits only, where older verifiers follow branches that can't be: one instruction that none of them reasons about. */
#define MASK(value, mask) asm volatile("%0 &= %1" : "+r"(value) : "i"(mask))

struct super_block {
    unsigned long s_magic;
} CORE;

struct inode {
    u16 i_mode;
    unsigned long i_ino;
} CORE;

struct qstr {
    const unsigned char *name;
} CORE;

struct dentry {
    struct qstr d_name;
} CORE;

struct path {
    struct dentry *dentry;
} CORE;

struct file {
    struct inode *f_inode;
    struct path f_path;
    void *private_data;
} CORE;

struct fdtable {
    unsigned int max_fds;
    struct file **fd;
} CORE;

struct files_struct {
    struct fdtable *fdt;
} CORE;

struct ns_common {
    unsigned int inum;
} CORE;

struct net {
    struct ns_common ns;
} CORE;

struct nsproxy {
    struct net *net_ns;
} CORE;

struct mm_struct {
    unsigned long arg_start;
    unsigned long arg_end;
} CORE;

typedef struct {
    int counter;
} atomic_t;

struct signal_struct {
    atomic_t live;
} CORE;

struct linux_binprm {
    const char *filename;
} CORE;

struct thread_struct {
    unsigned long fsbase; /* x86-64 */
} CORE;

struct task_struct {
    int pid;
    int tgid;
    char comm[16];
    struct task_struct *real_parent;
    struct files_struct *files;
    struct nsproxy *nsproxy;
    struct mm_struct *mm;
    struct signal_struct *signal;
    struct thread_struct thread;
} CORE;

typedef struct {
    struct net *net;
} possible_net_t;

struct in6_addr {
    union {
        u8 u6_addr8[16];
    } in6_u;
} CORE;

struct sock_common {
    u32 skc_daddr;
    u32 skc_rcv_saddr;
    u16 skc_dport;
    u16 skc_num;
    u16 skc_family;
    u8 skc_state;
    possible_net_t skc_net;
    struct in6_addr skc_v6_daddr;
    struct in6_addr skc_v6_rcv_saddr;
} CORE;

struct socket;

struct sock {
    struct sock_common __sk_common;
    u16 sk_type;
    u16 sk_protocol;
    struct socket *sk_socket;
    int sk_err;
} CORE;

struct socket {
    struct file *file;
    struct sock *sk;
} CORE;

struct minmax_sample {
    u32 v;
} CORE;

struct minmax {
    struct minmax_sample s[3];
} CORE;

struct tcp_sock {
    u32 write_seq;
    u32 copied_seq;
    u32 snd_una;
    u32 rcv_nxt;
    u64 bytes_sent;
    u64 bytes_acked;
    u64 bytes_received;
    u64 bytes_retrans;
    u32 srtt_us;
    u32 mdev_us;
    struct minmax rtt_min;
    u32 segs_out;
    u32 segs_in;
    u32 total_retrans;
    u32 rcv_ooopack;
    u32 snd_cwnd;
    u32 mss_cache;
} CORE;

struct unix_address {
    int len; /* a sockaddr_un of this length follows */
} CORE;

struct unix_sock {
    struct unix_address *addr;
    struct sock *peer;
} CORE;

struct net_device {
    int ifindex;
    possible_net_t nd_net;
} CORE;

struct sk_buff {
    struct net_device *dev;
    unsigned int len;
    unsigned int data_len;
    u16 protocol; /* network order */
    u16 mac_header;
    u16 network_header;
    unsigned char *head;
    unsigned char *data;
    struct sock *sk;
} CORE;

struct eventfd_ctx {
    int id;
} CORE;

#define S_IFMT 0170000
#define S_IFSOCK 0140000
#define S_IFIFO 0010000

#define AF_UNIX 1
#define AF_INET 2
#define AF_INET6 10
#define SOCK_STREAM 1
#define SOCK_DGRAM 2
#define IPPROTO_TCP 6
#define IPPROTO_UDP 17
#define IPPROTO_MPTCP 262
#define TCP_CLOSE 7
#define TCP_LISTEN 10

/* Arguments of the per-syscall tracepoints. */
struct enter {
    u64 common;
    long number;
    unsigned long arguments[6];
};

struct leave {
    u64 common;
    long number;
    long result;
};

/* What a user probe sees: the registers of a process, on x86-64 (arch/x86/include/asm/ptrace.h). */
struct registers {
    unsigned long r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di;
};

/* struct bpf_iter__task_file */
struct iterate {
    u64 meta;
    struct task_struct *task;
    u64 fd;
    struct file *file;
};

#endif
