/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Processes and threads as they come, change and go. What a short-lived process leaves no time to read is taken here: its name,
 * arguments, cgroup and namespace. Never changes anything, never waits, never wakes the collector. */
#include "../kernel.bpf.h"

/* Bytes of a command line, and of an executable's path. */
#define MAX_ARGUMENTS 4096
#define MAX_PATH 256

OWN_PROCESSES

volatile u64 window[2] = {~0ULL, ~0ULL};

enum kind { FORK = 1, EXEC, EXIT, RENAME };

/* One record. Read in record.rs by these offsets. */
struct record {
    u8 kind, group_dead;
    u16 padding;
    u32 pid, tid, parent, netns;
    u32 n_path, n_arguments, padding2;
    u64 time_ns, cgroup;
    char name[16];
    u8 path[MAX_PATH];
    u8 arguments[MAX_ARGUMENTS];
};
#define HEAD 64

struct {
    MAP_UINT(type, RINGBUF);
    MAP_UINT(max_entries, 1 << 22);
} ring SEC(".maps");

struct {
    MAP_UINT(type, PERCPU_ARRAY);
    MAP_UINT(max_entries, 1);
    MAP_TYPE(key, u32);
    MAP_TYPE(value, struct record);
} scratch SEC(".maps");

/* The order of COUNTS in mod.rs. */
enum count { COUNT_RECORDS, COUNT_RING_FULL, N_COUNTS };

COUNTS(counts, N_COUNTS);

INLINE void count(u32 what)
{
    count_in(&counts, N_COUNTS, what, 1);
}

INLINE void deliver(struct record *record, u64 size)
{
    count(COUNT_RECORDS);
    if (ringbuf_output(&ring, record, size, NO_WAKEUP))
        count(COUNT_RING_FULL);
}

/* The head of a record about `task`, which is the current one or its new child. */
INLINE struct record *head(u8 kind, struct task_struct *task)
{
    u32 zero = 0;
    struct record *record = map_lookup(&scratch, &zero);
    u64 now_ns = boottime_ns();
    if (!record || is_own(task->tgid) || now_ns < window[0] || now_ns >= window[1])
        return NULL;
    record->kind = kind;
    record->group_dead = 0;
    record->pid = task->tgid;
    record->tid = task->pid;
    record->parent = 0;
    record->netns = 0;
    record->n_path = record->n_arguments = 0;
    record->padding = 0;
    record->padding2 = 0;
    record->time_ns = now_ns;
    record->cgroup = get_current_cgroup_id();
    struct task_struct *parent = NULL;
    READ(parent, task->real_parent);
    if (parent)
        READ(record->parent, parent->tgid);
    struct nsproxy *spaces = NULL;
    struct net *net = NULL;
    READ(spaces, task->nsproxy);
    if (spaces)
        READ(net, spaces->net_ns);
    if (net)
        READ(record->netns, net->ns.inum);
    READ(record->name, task->comm);
    return record;
}

/* Arguments of a typed tracepoint: pointers that the verifier knows the types of. */
SEC("tp_btf/sched_process_fork") int sched_process_fork(u64 *context)
{
    struct task_struct *child = (void *)context[1];
    struct record *record = head(FORK, child);
    if (record)
        deliver(record, HEAD);
    return 0;
}

SEC("tp_btf/sched_process_exec") int sched_process_exec(u64 *context)
{
    struct task_struct *task = (void *)context[0];
    struct linux_binprm *program = (void *)context[2];
    struct record *record = head(EXEC, task);
    if (!record)
        return 0;
    const char *path = NULL;
    READ(path, program->filename);
    long n = path ? read_kernel_text(record->path, MAX_PATH, path) : 0;
    record->n_path = n > 0 ? n : 0;
    struct mm_struct *memory = NULL;
    unsigned long from = 0, to = 0;
    READ(memory, task->mm);
    if (memory) {
        READ(from, memory->arg_start);
        READ(to, memory->arg_end);
    }
    u32 size = to > from ? to - from : 0;
    BOUND(size, MAX_ARGUMENTS);
    if (size && size <= MAX_ARGUMENTS && !read_user(record->arguments, size, (void *)from))
        record->n_arguments = size;
    u64 whole = HEAD + MAX_PATH + record->n_arguments;
    BOUND(whole, HEAD + MAX_PATH + MAX_ARGUMENTS);
    if (whole <= HEAD + MAX_PATH + MAX_ARGUMENTS)
        deliver(record, whole);
    return 0;
}

SEC("tp_btf/sched_process_exit") int sched_process_exit(u64 *context)
{
    struct task_struct *task = (void *)context[0];
    struct record *record = head(EXIT, task);
    if (!record)
        return 0;
    struct signal_struct *signal = NULL;
    int live = 1;
    READ(signal, task->signal);
    if (signal)
        READ(live, signal->live.counter);
    record->group_dead = live == 0;
    deliver(record, HEAD);
    return 0;
}

/* The name changes behind this tracepoint: the new one is its argument. */
SEC("tp_btf/task_rename") int task_rename(u64 *context)
{
    struct task_struct *task = (void *)context[0];
    const char *name = (void *)context[1];
    struct record *record = head(RENAME, task);
    if (!record)
        return 0;
    if (read_kernel_text(record->name, sizeof(record->name), name) > 0)
        deliver(record, HEAD);
    return 0;
}

char license_text[] SEC("license") = "Dual MIT/GPL";
