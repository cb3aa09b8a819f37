/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Plaintext at the functions of OpenSSL's libssl and of Go's crypto/tls: what was read and written, on which connection object, by which thread, from
 * when to when. Which socket calls lie beneath is told by thread and time, offline. Never changes anything, never waits. */
#include "../wanted.bpf.h"

/* Plaintext bytes of one record at most. */
#define MAX_BYTES 4096

const volatile u32 n_bytes_kept = 1024;

volatile u64 window[2] = {~0ULL, ~0ULL};

/* `call` of a record; names stand in the same order in record.rs. */
enum call { CALL_READ, CALL_WRITE, CALL_HANDSHAKE, CALL_CLOSE };

/* One record. Read in record.rs by these offsets. */
struct record {
    u64 time_ns, exit_ns, handle, asked;
    s64 result;
    u32 pid, tid, call, n_bytes;
    s64 fd; /* -1: not known */
    u32 library, padding;
    u8 bytes[MAX_BYTES];
};
#define HEAD 72

/* `library` of a record; names stand in the same order in record.rs. */
enum library { OPENSSL, GO };

/* A thread inside a function. */
struct inside {
    u64 time_ns, handle, buffer, asked, moved;
    s64 fd;
    u32 call, active;
};

/* A goroutine inside a function, which may go on on another thread: its address, its process, and the function. */
struct goroutine {
    u64 address;
    u32 pid, call;
};

struct {
    MAP_UINT(type, RINGBUF);
    MAP_UINT(max_entries, 1 << 22);
} ring SEC(".maps");

struct {
    MAP_UINT(type, LRU_HASH);
    MAP_UINT(max_entries, 65536);
    MAP_TYPE(key, u32);
    MAP_TYPE(value, struct inside);
} threads SEC(".maps");

struct {
    MAP_UINT(type, LRU_HASH);
    MAP_UINT(max_entries, 65536);
    MAP_TYPE(key, struct goroutine);
    MAP_TYPE(value, struct inside);
} goroutines SEC(".maps");

struct {
    MAP_UINT(type, PERCPU_ARRAY);
    MAP_UINT(max_entries, 1);
    MAP_TYPE(key, u32);
    MAP_TYPE(value, struct record);
} scratch SEC(".maps");

/* The order of COUNTS in mod.rs. */
enum count { COUNT_RECORDS, COUNT_RING_FULL, COUNT_TABLE_FULL, N_COUNTS };

COUNTS(counts, N_COUNTS);

INLINE int enter(u32 call, u64 handle, u64 buffer, u64 asked, u64 moved)
{
    u64 ids = get_current_pid_tgid(), now_ns = boottime_ns();
    u32 tid = ids;
    if (now_ns < window[0] || now_ns >= window[1] || !wanted(ids >> 32))
        return 0;
    struct inside inside = {.time_ns = now_ns, .handle = handle, .buffer = buffer, .asked = asked,
                            .moved = moved, .fd = -1, .call = call, .active = 1};
    if (map_update(&threads, &tid, &inside, 0))
        count_in(&counts, N_COUNTS, COUNT_TABLE_FULL, 1);
    return 0;
}

INLINE void deliver(struct record *record, u32 n_bytes)
{
    count_in(&counts, N_COUNTS, COUNT_RECORDS, 1);
    BOUND(n_bytes, MAX_BYTES);
    if (n_bytes <= MAX_BYTES && ringbuf_output(&ring, record, HEAD + n_bytes, NO_WAKEUP))
        count_in(&counts, N_COUNTS, COUNT_RING_FULL, 1);
}

INLINE int left(struct inside *inside, s64 result, u32 library)
{
    u64 ids = get_current_pid_tgid();
    u32 tid = ids, zero = 0;
    struct record *record = map_lookup(&scratch, &zero);
    if (!inside || !inside->active || !record)
        return 0;
    record->fd = inside->fd;
    record->library = library;
    record->padding = 0;
    inside->active = 0;
    if (inside->moved && result > 0) {
        /* The _ex functions return 1 and tell the length elsewhere. */
        u64 length = 0;
        read_user(&length, sizeof(length), (void *)inside->moved);
        result = length;
    }
    record->time_ns = inside->time_ns;
    record->exit_ns = boottime_ns();
    record->handle = inside->handle;
    record->asked = inside->asked;
    record->result = result;
    record->pid = ids >> 32;
    record->tid = tid;
    record->call = inside->call;
    u32 n = 0;
    if (inside->buffer && result > 0) {
        u64 size = result;
        if (size > n_bytes_kept)
            size = n_bytes_kept;
        n = size;
        BOUND(n, MAX_BYTES);
        if (!n || n > MAX_BYTES || read_user(record->bytes, n, (void *)inside->buffer))
            n = 0;
    }
    record->n_bytes = n;
    deliver(record, n);
    return 0;
}

/* `result`: what the function returned, a plain int. */
INLINE int leave(s64 result)
{
    u32 tid = get_current_pid_tgid();
    return left(map_lookup(&threads, &tid), result, OPENSSL);
}

SEC("uprobe") int enter_SSL_read(struct registers *context)
{
    return enter(CALL_READ, context->di, context->si, (u32)context->dx, 0);
}

SEC("uprobe") int enter_SSL_read_ex(struct registers *context)
{
    return enter(CALL_READ, context->di, context->si, context->dx, context->cx);
}

SEC("uprobe") int enter_SSL_write(struct registers *context)
{
    return enter(CALL_WRITE, context->di, context->si, (u32)context->dx, 0);
}

SEC("uprobe") int enter_SSL_write_ex(struct registers *context)
{
    return enter(CALL_WRITE, context->di, context->si, context->dx, context->cx);
}

SEC("uprobe") int enter_SSL_do_handshake(struct registers *context)
{
    return enter(CALL_HANDSHAKE, context->di, 0, 0, 0);
}

SEC("uretprobe") int exit_SSL_read(struct registers *context)
{
    return leave((int)context->ax);
}

SEC("uretprobe") int exit_SSL_read_ex(struct registers *context)
{
    return leave((int)context->ax);
}

SEC("uretprobe") int exit_SSL_write(struct registers *context)
{
    return leave((int)context->ax);
}

SEC("uretprobe") int exit_SSL_write_ex(struct registers *context)
{
    return leave((int)context->ax);
}

SEC("uretprobe") int exit_SSL_do_handshake(struct registers *context)
{
    return leave((int)context->ax);
}

/* The object's address is free for another connection. (SSL_clear is no end: handshakes call it.) */
SEC("uprobe") int enter_SSL_free(struct registers *context)
{
    u64 ids = get_current_pid_tgid(), now_ns = boottime_ns();
    u32 zero = 0;
    struct record *record = map_lookup(&scratch, &zero);
    if (!record || !context->di || now_ns < window[0] || now_ns >= window[1] || !wanted(ids >> 32))
        return 0;
    record->time_ns = record->exit_ns = now_ns;
    record->fd = -1;
    record->library = OPENSSL;
    record->padding = 0;
    record->handle = context->di;
    record->asked = 0;
    record->result = 0;
    record->pid = ids >> 32;
    record->tid = ids;
    record->call = CALL_CLOSE;
    record->n_bytes = 0;
    deliver(record, 0);
    return 0;
}

/* Go, since 1.17: arguments in ax, bx, cx, di …, results in ax, bx, cx …, the goroutine in r14. A function returns at several places, and
 * its stack moves: no return address may be changed, so each place has a probe. */

/* tls.Conn begins with the net.Conn beneath, an interface: type and value. Of a *net.TCPConn the value points to a *net.netFD, which
 * begins with a poll.FD: a lock of 16 bytes, then the descriptor. */
INLINE s64 descriptor_of(u64 connection)
{
    u64 beneath = 0, net_fd = 0;
    s64 fd = -1;
    if (read_user(&beneath, sizeof(beneath), (void *)(connection + 8)) || !beneath ||
        read_user(&net_fd, sizeof(net_fd), (void *)beneath) || !net_fd ||
        read_user(&fd, sizeof(fd), (void *)(net_fd + 16)))
        return -1;
    return fd >= 0 && fd < 1 << 20 ? fd : -1;
}

/* Reads and writes ask for the handshake, done or not: what lies beneath is theirs. */
INLINE int is_inside(struct goroutine goroutine, u32 call)
{
    goroutine.call = call;
    struct inside *inside = map_lookup(&goroutines, &goroutine);
    return inside && inside->active;
}

INLINE int enter_go(struct registers *context, u32 call, u64 buffer, u64 asked)
{
    u64 ids = get_current_pid_tgid(), now_ns = boottime_ns();
    struct goroutine goroutine = {.address = context->r14, .pid = ids >> 32, .call = call};
    if (now_ns < window[0] || now_ns >= window[1] || !wanted(ids >> 32))
        return 0;
    if (call == CALL_HANDSHAKE && (is_inside(goroutine, CALL_READ) || is_inside(goroutine, CALL_WRITE)))
        return 0;
    struct inside inside = {.time_ns = now_ns, .handle = context->ax, .buffer = buffer, .asked = asked,
                            .fd = descriptor_of(context->ax), .call = call, .active = 1};
    if (map_update(&goroutines, &goroutine, &inside, 0))
        count_in(&counts, N_COUNTS, COUNT_TABLE_FULL, 1);
    return 0;
}

INLINE int leave_go(struct registers *context, u32 call, s64 result)
{
    u32 pid = get_current_pid_tgid() >> 32;
    struct goroutine goroutine = {.address = context->r14, .pid = pid, .call = call};
    return left(map_lookup(&goroutines, &goroutine), result, GO);
}

SEC("uprobe") int enter_go_read(struct registers *context)
{
    return enter_go(context, CALL_READ, context->bx, context->cx);
}

SEC("uprobe") int enter_go_write(struct registers *context)
{
    return enter_go(context, CALL_WRITE, context->bx, context->cx);
}

SEC("uprobe") int enter_go_handshake(struct registers *context)
{
    return enter_go(context, CALL_HANDSHAKE, 0, 0);
}

SEC("uprobe") int enter_go_close(struct registers *context)
{
    return enter_go(context, CALL_CLOSE, 0, 0);
}

SEC("uprobe") int exit_go_read(struct registers *context)
{
    return leave_go(context, CALL_READ, context->ax);
}

SEC("uprobe") int exit_go_write(struct registers *context)
{
    return leave_go(context, CALL_WRITE, context->ax);
}

/* An error is an interface, nil when all went well. */
SEC("uprobe") int exit_go_handshake(struct registers *context)
{
    return leave_go(context, CALL_HANDSHAKE, context->ax ? -1 : 1);
}

SEC("uprobe") int exit_go_close(struct registers *context)
{
    return leave_go(context, CALL_CLOSE, 0);
}

char license_text[] SEC("license") = "Dual MIT/GPL";
