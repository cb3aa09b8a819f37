/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Who woke whom, of threads that touch sockets, and when the woken one ran. What an interrupt wakes is woken by nobody: the thread that
 * it interrupted has no part in it. Never changes anything, never waits. */
#include "../wanted.bpf.h"

OWN_PROCESSES

volatile u64 window[2] = {~0ULL, ~0ULL};

/* One record. Read in mod.rs by these offsets. */
struct record {
    u64 time_ns, running_ns;
    u32 waker, woken;
};

struct {
    MAP_UINT(type, RINGBUF);
    MAP_UINT(max_entries, 1 << 22);
} ring SEC(".maps");

/* Threads that sent or received on a socket. */
struct {
    MAP_UINT(type, LRU_HASH);
    MAP_UINT(max_entries, 65536);
    MAP_TYPE(key, u32);
    MAP_TYPE(value, u8);
} touched SEC(".maps");

/* Woken threads that have not run yet. */
struct {
    MAP_UINT(type, LRU_HASH);
    MAP_UINT(max_entries, 16384);
    MAP_TYPE(key, u32);
    MAP_TYPE(value, struct record);
} woken SEC(".maps");

/* Which kinds of interrupts a processor is in. */
struct {
    MAP_UINT(type, PERCPU_ARRAY);
    MAP_UINT(max_entries, 1);
    MAP_TYPE(key, u32);
    MAP_TYPE(value, u32);
} interrupts SEC(".maps");

/* The order of COUNTS in mod.rs. */
enum count { COUNT_RECORDS, COUNT_RING_FULL, N_COUNTS };

COUNTS(counts, N_COUNTS);

INLINE int touch(void)
{
    u64 ids = get_current_pid_tgid();
    u32 pid = ids >> 32, tid = ids;
    u8 one = 1;
    if (is_own(pid) || !wanted(pid))
        return 0;
    if (!map_lookup(&touched, &tid))
        map_update(&touched, &tid, &one, 0);
    return 0;
}

SEC("tp_btf/sock_send_length") int sock_send_length(u64 *context)
{
    return touch();
}

SEC("tp_btf/sock_recv_length") int sock_recv_length(u64 *context)
{
    return touch();
}

/* Set at entry and cleared at exit, not counted: one that was entered before all programs were attached is forgotten by the next. */
enum interrupt { SOFT = 1, HARD = 2, TIMER = 4 };

INLINE int interrupted(u32 kind, int is_entry)
{
    u32 zero = 0;
    u32 *kinds = map_lookup(&interrupts, &zero);
    if (kinds)
        *kinds = is_entry ? *kinds | kind : *kinds & ~kind;
    return 0;
}

SEC("tp_btf/softirq_entry") int softirq_entry(u64 *context)
{
    return interrupted(SOFT, 1);
}

SEC("tp_btf/softirq_exit") int softirq_exit(u64 *context)
{
    return interrupted(SOFT, 0);
}

SEC("tp_btf/irq_handler_entry") int irq_handler_entry(u64 *context)
{
    return interrupted(HARD, 1);
}

SEC("tp_btf/irq_handler_exit") int irq_handler_exit(u64 *context)
{
    return interrupted(HARD, 0);
}

SEC("tp_btf/hrtimer_expire_entry") int hrtimer_expire_entry(u64 *context)
{
    return interrupted(TIMER, 1);
}

SEC("tp_btf/hrtimer_expire_exit") int hrtimer_expire_exit(u64 *context)
{
    return interrupted(TIMER, 0);
}

SEC("tp_btf/sched_waking") int sched_waking(u64 *context)
{
    struct task_struct *task = (void *)context[0];
    u32 zero = 0, waker = get_current_pid_tgid(), tid = task->pid;
    u32 *kinds = map_lookup(&interrupts, &zero);
    u64 now_ns = boottime_ns();
    if (now_ns < window[0] || now_ns >= window[1] || !map_lookup(&touched, &tid))
        return 0;
    if (kinds && *kinds)
        waker = 0;
    else if (!map_lookup(&touched, &waker))
        return 0;
    struct record record = {.time_ns = now_ns, .waker = waker, .woken = tid};
    map_update(&woken, &tid, &record, 0);
    return 0;
}

SEC("tp_btf/sched_switch") int sched_switch(u64 *context)
{
    struct task_struct *next = (void *)context[2];
    u32 tid = next->pid;
    struct record *record = map_lookup(&woken, &tid);
    if (!record)
        return 0;
    record->running_ns = boottime_ns();
    count_in(&counts, N_COUNTS, COUNT_RECORDS, 1);
    if (ringbuf_output(&ring, record, sizeof(*record), NO_WAKEUP))
        count_in(&counts, N_COUNTS, COUNT_RING_FULL, 1);
    map_delete(&woken, &tid);
    return 0;
}

char license_text[] SEC("license") = "Dual MIT/GPL";
