/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Which goroutine a thread of a Go program runs at its socket calls, told when it is another than at the call before; and which processes
 * became another program. Never changes anything, never waits. */
#include "../wanted.bpf.h"

volatile u64 window[2] = {~0ULL, ~0ULL};

/* One record; with task 0: a process became another program. Read in mod.rs by these offsets. */
struct record {
    u64 time_ns, task, creator;
    u32 pid, tid;
};

/* Where a program of this Go version keeps what is wanted. Written in mod.rs in this order. */
struct layout {
    s64 current;  /* the running goroutine's address, from the thread's base */
    u64 task;     /* its number, in it */
    u64 creator;  /* the number of the one that made it; 0: not kept */
};

struct {
    MAP_UINT(type, RINGBUF);
    MAP_UINT(max_entries, 1 << 20);
} ring SEC(".maps");

/* Processes that are Go programs. */
struct {
    MAP_UINT(type, HASH);
    MAP_UINT(max_entries, 16384);
    MAP_TYPE(key, u32);
    MAP_TYPE(value, struct layout);
} programs SEC(".maps");

/* The goroutine that each thread was last seen with. */
struct {
    MAP_UINT(type, LRU_HASH);
    MAP_UINT(max_entries, 65536);
    MAP_TYPE(key, u32);
    MAP_TYPE(value, u64);
} threads SEC(".maps");

/* The order of COUNTS in mod.rs. */
enum count { COUNT_RECORDS, COUNT_RING_FULL, N_COUNTS };

COUNTS(counts, N_COUNTS);

INLINE int at_call(void)
{
    u64 ids = get_current_pid_tgid(), now_ns = boottime_ns();
    u32 pid = ids >> 32, tid = ids;
    struct layout *layout = map_lookup(&programs, &pid);
    if (!layout || now_ns < window[0] || now_ns >= window[1])
        return 0;
    u64 base = 0, current = 0;
    struct record record = {.time_ns = now_ns, .pid = pid, .tid = tid};
    READ(base, current_task()->thread.fsbase);
    if (read_user(&current, sizeof(current), (void *)(base + layout->current)) || !current)
        return 0;
    /* 0 is the scheduler itself. */
    if (read_user(&record.task, sizeof(u64), (void *)(current + layout->task)) || !record.task)
        return 0;
    u64 *last = map_lookup(&threads, &tid);
    if ((last && *last == record.task) || !wanted(pid))
        return 0;
    if (layout->creator)
        read_user(&record.creator, sizeof(u64), (void *)(current + layout->creator));
    count_in(&counts, N_COUNTS, COUNT_RECORDS, 1);
    if (ringbuf_output(&ring, &record, sizeof(record), NO_WAKEUP))
        count_in(&counts, N_COUNTS, COUNT_RING_FULL, 1);
    else
        map_update(&threads, &tid, &record.task, 0);
    return 0;
}

#define AT(call)                                                                                   \
    SEC("tracepoint/syscalls/sys_enter_" #call) int enter_##call(void *context)                    \
    {                                                                                              \
        return at_call();                                                                          \
    }

AT(read)
AT(write)
AT(readv)
AT(writev)
AT(sendto)
AT(recvfrom)
AT(sendmsg)
AT(recvmsg)
AT(sendmmsg)
AT(recvmmsg)
AT(connect)
AT(accept4)
AT(sendfile64)
AT(splice)

SEC("tp_btf/sched_process_exec") int sched_process_exec(u64 *context)
{
    struct task_struct *task = (void *)context[0];
    struct record record = {.time_ns = boottime_ns(), .pid = task->tgid, .tid = task->tgid};
    if (!wanted(record.pid))
        return 0;
    count_in(&counts, N_COUNTS, COUNT_RECORDS, 1);
    if (ringbuf_output(&ring, &record, sizeof(record), NO_WAKEUP))
        count_in(&counts, N_COUNTS, COUNT_RING_FULL, 1);
    return 0;
}

char license_text[] SEC("license") = "Dual MIT/GPL";
