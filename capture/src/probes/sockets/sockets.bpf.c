/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* What threads do on sockets, seen at the entry and the return of each system call. One record per call, written at its
 * return: times, thread, descriptor, socket, TCP sequence numbers before and after, result, the first payload bytes.
 * Never changes anything, never waits, never wakes the collector. */
#include "../wanted.bpf.h"

/* Payload bytes of one record at most. */
#define MAX_BYTES 4096
/* Buffers of one call that are looked into, and messages of one sendmmsg or recvmmsg. */
#define MAX_VECTORS 32
#define MAX_MESSAGES 8

/* Set by the loader. */
OWN_PROCESSES
const volatile u32 n_bytes_kept = 1024;
const volatile u32 filter_ports = 0;
/* Whether the window moves: then most calls lie outside of it, and should cost no more than the time. */
const volatile u32 is_sampled = 0;

/* Calls that begin in [0, 1) are recorded, BOOTTIME in ns. The recorder opens it when all programs are attached, so that recording
 * begins for all calls at once, moves it for samples, and closes it at the end: detaching takes seconds. */
volatile u64 window[2] = {~0ULL, ~0ULL};

INLINE int in_window(u64 now_ns)
{
    return now_ns >= window[0] && now_ns < window[1];
}

/* `call` of a record; names stand in the same order in call.rs. */
enum call {
    CALL_READ, CALL_WRITE, CALL_READV, CALL_WRITEV, CALL_SENDTO, CALL_RECVFROM, CALL_SENDMSG, CALL_RECVMSG,
    CALL_SENDMMSG, CALL_RECVMMSG, CALL_SENDFILE, CALL_SPLICE, CALL_CONNECT, CALL_ACCEPT, CALL_CLOSE, CALL_SHUTDOWN,
    CALL_EPOLL_WAIT, CALL_SELECT, CALL_POLL, CALL_NONE,
};

/* `kind`: what the descriptor is. */
enum kind { KIND_OTHER, KIND_TCP, KIND_UDP, KIND_UNIX, KIND_EVENTFD, KIND_PIPE, KIND_TIMERFD, KIND_EPOLL, KIND_MPTCP };

enum direction { NEITHER, INBOUND, OUTBOUND };

/* Where the bytes of a call lie. */
enum form { FORM_NONE, FORM_BUFFER, FORM_VECTORS, FORM_MESSAGE, FORM_MESSAGES };

enum record { RECORD_EVENT = 1, RECORD_SOCKET = 2, RECORD_TCP_INFO = 3 };

/* One record. Read in record.rs by these offsets. */
struct event {
    u8 record, call, kind, direction;
    u32 fd;
    u64 time_ns, exit_ns, inode;
    u32 pid, tid;
    s64 result;
    u32 flags, before, after;
    u8 has_sequence, peer_family;
    u16 peer_port; /* network order */
    u8 peer_address[16];
    u32 n_bytes;
    u32 padding;
    u8 bytes[MAX_BYTES * 2]; /* room for an offset and a length that the verifier bounds apart */
};
#define EVENT_HEAD 88

/* A socket's addresses, sent when a process is first seen to use it and when they change. */
struct socket_record {
    u8 record, kind, state, family; /* family: 4, 6, 1 unix */
    u32 pid;
    u64 time_ns, inode, peer_inode;
    u32 netns, protocol;
    u16 type, local_port, remote_port /* network order */, asked_family;
    u16 asked_port /* network order */, path_length;
    u32 call;
    u8 local[16], remote[16], asked[16];
    u8 path[108];
    u32 padding;
};

/* What the kernel knew of a connection when it ended; names as in struct tcp_info (include/uapi/linux/tcp.h). */
struct tcp_info_record {
    u8 record, state, padding[2];
    s32 error;
    u64 time_ns, inode, bytes_sent, bytes_acked, bytes_received, bytes_retrans;
    u32 rtt_eighths, rtt_variation_quarters, min_rtt_us, segs_out, segs_in, total_retrans, out_of_order, snd_cwnd, snd_mss;
    u32 unacknowledged, unread, padding2;
};

/* A thread inside a call that is recorded. */
struct thread {
    u64 time_ns, inode;
    struct sock *socket;
    u64 where;       /* user pointer: buffer, vectors, message(s) */
    u64 length;      /* bytes, or vectors, or messages */
    u64 peer;        /* user pointer: sockaddr of sendto, recvfrom, connect */
    u32 fd, flags, before;
    u8 active, call, kind, direction, form, has_sequence, touched_socket, by_peer;
};

/* What is known of a process's descriptor. */
struct descriptor {
    struct file *file;
    struct sock *socket;
    u64 inode;  /* of an eventfd its own number */
    u64 number; /* of the inode in any case */
    u8 kind, wanted, unbound;
    u8 by_peer; /* an unconnected UDP socket whose own port is not wanted: each datagram's other end may be */
    u8 told_by_peer, padding[3];
};

struct {
    MAP_UINT(type, RINGBUF);
    MAP_UINT(max_entries, 1 << 24);
} ring SEC(".maps");

struct {
    MAP_UINT(type, LRU_HASH);
    MAP_UINT(max_entries, 65536);
    MAP_TYPE(key, u64); /* pid << 32 | fd */
    MAP_TYPE(value, struct descriptor);
} descriptors SEC(".maps");

struct {
    MAP_UINT(type, LRU_HASH);
    MAP_UINT(max_entries, 65536);
    MAP_TYPE(key, u32);
    MAP_TYPE(value, struct thread);
} threads SEC(".maps");

/* Inode numbers of the TCP sockets that were told: when a connection ends, its descriptor may be long closed. */
struct {
    MAP_UINT(type, LRU_HASH);
    MAP_UINT(max_entries, 65536);
    MAP_TYPE(key, u64); /* struct sock * */
    MAP_TYPE(value, u64);
} connections SEC(".maps");

struct {
    MAP_UINT(type, PERCPU_ARRAY);
    MAP_UINT(max_entries, 1);
    MAP_TYPE(key, u32);
    MAP_TYPE(value, struct event);
} scratch SEC(".maps");

struct {
    MAP_UINT(type, PERCPU_ARRAY);
    MAP_UINT(max_entries, 1);
    MAP_TYPE(key, u32);
    MAP_TYPE(value, struct socket_record);
} socket_scratch SEC(".maps");

/* Events that came, and what could not be delivered; the order is that of COUNTS in mod.rs. */
enum count { COUNT_EVENTS, COUNT_RING_FULL, COUNT_TABLE_FULL, COUNT_MESSAGES, COUNT_UNTOLD, COUNT_NO_TCP_INFO, N_COUNTS };

COUNTS(counts, N_COUNTS);

FILTER(wanted_ports, u16);

INLINE void count(u32 what, u64 n)
{
    count_in(&counts, N_COUNTS, what, n);
}

INLINE int deliver(const void *record, u64 size, u32 lost)
{
    if (!ringbuf_output(&ring, record, size, NO_WAKEUP))
        return 0;
    count(lost, 1);
    return 1;
}

/* The open file behind a descriptor of the current process. */
INLINE struct file *file_of(u32 fd)
{
    struct task_struct *task = current_task();
    struct files_struct *files = task->files;
    if (!files)
        return NULL;
    struct fdtable *table = files->fdt;
    if (fd >= table->max_fds)
        return NULL;
    struct file *file = NULL;
    read_kernel(&file, sizeof(file), table->fd + fd);
    return file;
}

INLINE u32 namespace_of(struct sock *socket)
{
    struct net *net = NULL;
    u32 number = 0;
    READ(net, socket->__sk_common.skc_net.net);
    if (net)
        READ(number, net->ns.inum);
    return number;
}

/* `[eventfd]` and `[timerfd]`: all anonymous files share one inode, their names differ. */
INLINE u8 anonymous_kind(struct file *file)
{
    struct dentry *dentry = NULL;
    const unsigned char *name = NULL;
    char text[12] = {};
    READ(dentry, file->f_path.dentry);
    if (!dentry)
        return KIND_OTHER;
    READ(name, dentry->d_name.name);
    read_kernel(text, sizeof(text) - 1, name);
    if (text[0] != '[' || text[6] != 'f' || text[7] != 'd')
        return KIND_OTHER;
    if (text[1] == 'e' && text[2] == 'v' && text[3] == 'e' && text[4] == 'n' && text[5] == 't')
        return KIND_EVENTFD;
    if (text[1] == 't' && text[2] == 'i' && text[3] == 'm' && text[4] == 'e' && text[5] == 'r')
        return KIND_TIMERFD;
    return KIND_OTHER;
}

INLINE u8 socket_kind(struct sock *socket)
{
    u16 family = 0, protocol = 0;
    READ(family, socket->__sk_common.skc_family);
    READ(protocol, socket->sk_protocol);
    if (family == AF_UNIX)
        return KIND_UNIX;
    if (family != AF_INET && family != AF_INET6)
        return KIND_OTHER;
    if (protocol == IPPROTO_TCP)
        return KIND_TCP;
    if (protocol == IPPROTO_UDP)
        return KIND_UDP;
    return protocol == IPPROTO_MPTCP ? KIND_MPTCP : KIND_OTHER;
}

INLINE u16 local_port(struct sock *socket)
{
    u16 port = 0;
    READ(port, socket->__sk_common.skc_num);
    return port;
}

INLINE u16 remote_port(struct sock *socket)
{
    u16 port = 0;
    READ(port, socket->__sk_common.skc_dport);
    return __builtin_bswap16(port);
}

/* What `wanted_socket` says of an unconnected UDP socket that all filters want but that of ports. */
#define BY_PEER 2

INLINE u8 wanted_socket(struct sock *socket, u32 pid)
{
    if (!wanted_process(pid))
        return 0;
    if (!socket)
        return 1;
    if (filter_namespaces) {
        u32 number = namespace_of(socket);
        if (!map_lookup(&wanted_namespaces, &number))
            return 0;
    }
    if (filter_ports) {
        u16 local = local_port(socket), remote = remote_port(socket);
        if (!map_lookup(&wanted_ports, &local) && !map_lookup(&wanted_ports, &remote))
            return socket_kind(socket) == KIND_UDP && !remote ? BY_PEER : 0;
    }
    return 1;
}

/* The path a unix socket is bound to; its length, 0 when it has none. */
INLINE u16 unix_path(struct unix_sock *socket, u8 *path)
{
    struct unix_address *address = NULL;
    int length = 0;
    READ(address, socket->addr);
    if (!address)
        return 0;
    READ(length, address->len);
    if (length <= 2)
        return 0;
    u32 size = length - 2;
    BOUND(size, 108);
    if (size > 108)
        return 0;
    /* The address stands right behind its length, which counts two bytes of family before the path. */
    read_kernel(path, size, (u8 *)__builtin_preserve_access_index(&address->len) + sizeof(int) + 2);
    return size;
}

INLINE u64 inode_of(struct sock *socket)
{
    struct socket *end = NULL;
    struct file *file = NULL;
    struct inode *inode = NULL;
    unsigned long number = 0;
    READ(end, socket->sk_socket);
    if (!end)
        return 0;
    READ(file, end->file);
    if (!file)
        return 0;
    READ(inode, file->f_inode);
    if (inode)
        READ(number, inode->i_ino);
    return number;
}

/* Says what a socket is; 1 where the ring had no room: then its next call says it. */
CALLED int tell_socket(struct descriptor *known, u64 asked_at, u32 call, u32 pid)
{
    u32 zero = 0;
    struct socket_record *record = map_lookup(&socket_scratch, &zero);
    if (!record || !known)
        return 0;
    struct sock *socket = known->socket;
    u16 family = 0;
    __builtin_memset(record, 0, sizeof(*record));
    record->record = RECORD_SOCKET;
    record->kind = known->kind;
    record->pid = pid;
    record->time_ns = boottime_ns();
    record->inode = known->inode;
    record->call = call;
    record->netns = namespace_of(socket);
    READ(record->state, socket->__sk_common.skc_state);
    READ(record->type, socket->sk_type);
    READ(family, socket->__sk_common.skc_family);
    if (family == AF_UNIX) {
        struct unix_sock *end = (struct unix_sock *)socket;
        struct sock *peer = NULL;
        record->family = 1;
        record->path_length = unix_path(end, record->path);
        READ(peer, end->peer);
        if (peer)
            record->peer_inode = inode_of(peer);
    } else {
        u16 protocol = 0;
        READ(protocol, socket->sk_protocol);
        record->protocol = protocol;
        READ(record->local_port, socket->__sk_common.skc_num);
        READ(record->remote_port, socket->__sk_common.skc_dport);
        if (family == AF_INET6) {
            record->family = 6;
            READ(record->local, socket->__sk_common.skc_v6_rcv_saddr);
            READ(record->remote, socket->__sk_common.skc_v6_daddr);
        } else {
            record->family = 4;
            read_kernel(record->local, 4, __builtin_preserve_access_index(&socket->__sk_common.skc_rcv_saddr));
            read_kernel(record->remote, 4, __builtin_preserve_access_index(&socket->__sk_common.skc_daddr));
        }
    }
    if (known->kind == KIND_TCP) {
        u64 key = (u64)socket;
        map_update(&connections, &key, &known->inode, 0);
    }
    if (asked_at) {
        u8 asked[28] = {};
        read_user(asked, sizeof(asked), (void *)asked_at);
        u16 asked_family = *(u16 *)asked;
        record->asked_family = asked_family;
        record->asked_port = *(u16 *)(asked + 2);
        if (asked_family == AF_INET)
            __builtin_memcpy(record->asked, asked + 4, 4);
        else if (asked_family == AF_INET6)
            __builtin_memcpy(record->asked, asked + 8, 16);
    }
    return deliver(record, sizeof(*record), COUNT_UNTOLD);
}

/* Decides whether calls on it are recorded. */
INLINE void want(struct descriptor *known, u32 pid)
{
    u8 wanted = wanted_socket(known->socket, pid);
    known->wanted = wanted == 1;
    known->by_peer = wanted == BY_PEER;
}

/* Fills in what a descriptor is. Runs once per process, descriptor and file. */
CALLED int learn(struct file *file, struct descriptor *known, u32 pid)
{
    struct inode *inode = NULL;
    unsigned long number = 0;
    u16 mode = 0;
    if (!known)
        return 0;
    known->file = file;
    known->socket = NULL;
    known->kind = KIND_OTHER;
    known->wanted = 0;
    known->unbound = 0;
    known->by_peer = 0;
    READ(inode, file->f_inode);
    if (!inode)
        return 0;
    READ(mode, inode->i_mode);
    READ(number, inode->i_ino);
    known->inode = known->number = number;
    if ((mode & S_IFMT) == S_IFSOCK) {
        struct socket *end = NULL;
        struct sock *socket = NULL;
        READ(end, file->private_data);
        if (end)
            READ(socket, end->sk);
        if (!socket)
            return 0;
        known->socket = socket;
        known->kind = socket_kind(socket);
        known->unbound = known->kind != KIND_UNIX && !local_port(socket);
    } else if ((mode & S_IFMT) == S_IFIFO) {
        known->kind = KIND_PIPE;
    } else if (!(mode & S_IFMT)) {
        known->kind = anonymous_kind(file);
        known->inode = 0;
        if (known->kind == KIND_EVENTFD) {
            struct eventfd_ctx *context = NULL;
            int id = 0;
            READ(context, file->private_data);
            if (context)
                READ(id, context->id);
            known->inode = id;
        }
    }
    if (known->kind != KIND_OTHER)
        want(known, pid);
    return 0;
}

/* What a descriptor of this process is; NULL where it can't be known. */
INLINE struct descriptor *descriptor_of(u32 pid, u32 fd, u8 *is_new)
{
    u64 key = (u64)pid << 32 | fd;
    struct file *file = file_of(fd);
    if (!file)
        return NULL;
    struct descriptor *known = map_lookup(&descriptors, &key);
    if (known && known->file == file) {
        /* Files are allocated again at the same place, and not every close is a close(): dup2, close_range, exec. */
        struct inode *inode = NULL;
        unsigned long number = 0;
        READ(inode, file->f_inode);
        READ(number, inode->i_ino);
        if (number == known->number)
            return known;
    }
    struct descriptor fresh = {};
    learn(file, &fresh, pid);
    *is_new = 1;
    if (map_update(&descriptors, &key, &fresh, 0)) {
        count(COUNT_TABLE_FULL, 1);
        return NULL;
    }
    return map_lookup(&descriptors, &key);
}

INLINE void forget(u32 pid, u32 fd)
{
    u64 key = (u64)pid << 32 | fd;
    map_delete(&descriptors, &key);
}

INLINE struct thread *thread_of(u32 tid)
{
    struct thread *thread = map_lookup(&threads, &tid);
    if (thread)
        return thread;
    struct thread fresh = {};
    if (map_update(&threads, &tid, &fresh, 0)) {
        count(COUNT_TABLE_FULL, 1);
        return NULL;
    }
    return map_lookup(&threads, &tid);
}

/* Outbound bytes continue at write_seq, inbound ones at copied_seq. */
INLINE u32 sequence_of(struct sock *socket, u8 direction)
{
    struct tcp_sock *tcp = (struct tcp_sock *)socket;
    u32 sequence = 0;
    if (direction == INBOUND)
        READ(sequence, tcp->copied_seq);
    else
        READ(sequence, tcp->write_seq);
    return sequence;
}

INLINE int is_socket(u8 kind)
{
    return kind == KIND_TCP || kind == KIND_UDP || kind == KIND_UNIX || kind == KIND_MPTCP;
}

/* A call as its tracepoint tells it. */
struct begun {
    u64 where, length, peer;
    u32 fd, flags;
    u8 call, direction, form, padding[5];
};

/* Entry into a call on a descriptor. */
CALLED int begin(struct begun *begun)
{
    u32 fd = begun->fd;
    u64 ids = get_current_pid_tgid();
    u32 pid = ids >> 32, tid = ids;
    if (is_own(pid) || (filter_processes && !map_lookup(&wanted_processes, &pid)))
        return 0;
    if (is_sampled && !in_window(boottime_ns()))
        return 0;
    u8 is_new = 0;
    struct descriptor *known = descriptor_of(pid, fd, &is_new);
    if (!known)
        return 0;
    if (filter_ports && known->unbound && local_port(known->socket)) {
        /* It had no port when it was looked at first. */
        known->unbound = 0;
        want(known, pid);
        is_new = known->wanted;
    }
    /* What a connect leads to is known at its return, and so is who sent a datagram. */
    if (!known->wanted && !known->by_peer && !(filter_ports && known->unbound && begun->call == CALL_CONNECT))
        return 0;
    struct thread *thread;
    if (is_socket(known->kind)) {
        thread = thread_of(tid);
        if (!thread)
            return 0;
        thread->touched_socket = 1;
    } else {
        /* Eventfds, pipes and timers matter only where a thread hands over work that came by a socket. */
        thread = map_lookup(&threads, &tid);
        if (!thread || !thread->touched_socket)
            return 0;
        begun->form = FORM_NONE;
    }
    thread->call = begun->call;
    thread->kind = known->kind;
    thread->direction = begun->direction;
    thread->form = begun->form;
    thread->fd = fd;
    thread->inode = known->inode;
    thread->socket = known->socket;
    thread->where = begun->where;
    thread->length = begun->length;
    thread->flags = begun->flags;
    thread->peer = begun->peer;
    thread->has_sequence = known->kind == KIND_TCP;
    thread->by_peer = known->by_peer;
    /* Outside of the window it is told by a later call. */
    if (is_new && known->wanted && known->socket &&
        (!in_window(boottime_ns()) || tell_socket(known, 0, begun->call, pid)))
        forget(pid, fd);
    if (thread->has_sequence && begun->direction != NEITHER)
        thread->before = sequence_of(thread->socket, begun->direction);
    thread->time_ns = boottime_ns();
    thread->active = in_window(thread->time_ns);
    return 0;
}

INLINE void copy_peer(struct event *event, u64 where)
{
    u8 address[28] = {};
    if (!where || read_user(address, sizeof(address), (void *)where))
        return;
    u16 family = *(u16 *)address;
    if (family == AF_INET) {
        event->peer_family = 4;
        event->peer_port = *(u16 *)(address + 2);
        __builtin_memcpy(event->peer_address, address + 4, 4);
    } else if (family == AF_INET6) {
        event->peer_family = 6;
        event->peer_port = *(u16 *)(address + 2);
        __builtin_memcpy(event->peer_address, address + 8, 16);
    }
}

/* Appends up to `size` user bytes. */
INLINE void copy_bytes(struct event *event, u64 from, u64 size)
{
    u32 have = event->n_bytes;
    u32 limit = n_bytes_kept;
    if (limit > MAX_BYTES || have >= limit)
        return;
    if (size > limit - have)
        size = limit - have;
    u64 n = size, at = have;
    MASK(n, 2 * MAX_BYTES - 1);
    MASK(at, MAX_BYTES - 1);
    if (!n || n > MAX_BYTES)
        return;
    if (!read_user(event->bytes + at, n, (void *)from))
        event->n_bytes = have + n;
}

struct vector {
    u64 base, length;
};

/* The first bytes of `total` that lie in `n` buffers. */
INLINE void copy_vectors(struct event *event, u64 where, u64 n, u64 total)
{
    for (u32 i = 0; i < MAX_VECTORS; i++) {
        struct vector vector;
        if (i >= n || !total || event->n_bytes >= n_bytes_kept)
            return;
        if (read_user(&vector, sizeof(vector), (void *)(where + i * sizeof(vector))))
            return;
        u64 size = vector.length < total ? vector.length : total;
        copy_bytes(event, vector.base, size);
        total -= size;
    }
}

/* struct user_msghdr */
struct message {
    u64 name;
    u32 name_length, padding;
    u64 vectors, n_vectors, control, control_length;
    u32 flags, padding2;
};

INLINE void copy_message(struct event *event, u64 where, u64 total)
{
    struct message message;
    if (read_user(&message, sizeof(message), (void *)where))
        return;
    copy_vectors(event, message.vectors, message.n_vectors, total);
}

INLINE void copy_message_peer(struct event *event, u64 where)
{
    u64 name = 0;
    if (!read_user(&name, sizeof(name), (void *)where))
        copy_peer(event, name);
}

INLINE void emit(struct event *event)
{
    u64 size = event->n_bytes;
    BOUND(size, MAX_BYTES);
    if (size > MAX_BYTES)
        return;
    count(COUNT_EVENTS, 1);
    deliver(event, EVENT_HEAD + size, COUNT_RING_FULL);
}

/* Whether a datagram of a socket that is wanted by its peers is; the first one tells the socket. */
INLINE int wanted_peer(struct event *event)
{
    u16 port = __builtin_bswap16(event->peer_port);
    u64 key = (u64)event->pid << 32 | event->fd;
    if (!event->peer_family || !map_lookup(&wanted_ports, &port))
        return 0;
    struct descriptor *known = map_lookup(&descriptors, &key);
    if (known && known->by_peer && !known->told_by_peer)
        known->told_by_peer = !tell_socket(known, 0, event->call, event->pid);
    return 1;
}

/* One datagram message after the other: sendmmsg, recvmmsg. */
INLINE void emit_messages(struct event *event, struct thread *thread, s64 n)
{
    for (u32 i = 0; i < MAX_MESSAGES; i++) {
        u64 where = thread->where + i * 64; /* sizeof(struct mmsghdr) */
        struct message message;
        u32 length = 0;
        if (i >= n)
            return;
        if (read_user(&message, sizeof(message), (void *)where) ||
            read_user(&length, sizeof(length), (void *)where + 56))
            return;
        event->n_bytes = 0;
        event->peer_family = 0;
        event->result = length;
        if (event->kind == KIND_UDP)
            copy_peer(event, message.name);
        if (thread->by_peer && !wanted_peer(event))
            continue;
        struct vector first;
        if (message.n_vectors && !read_user(&first, sizeof(first), (void *)message.vectors))
            copy_bytes(event, first.base, first.length < length ? first.length : length);
        emit(event);
    }
    if (n > MAX_MESSAGES)
        count(COUNT_MESSAGES, n - MAX_MESSAGES);
}

INLINE void head(struct event *event, struct thread *thread, u64 ids)
{
    event->record = RECORD_EVENT;
    event->call = thread->call;
    event->kind = thread->kind;
    event->direction = thread->direction;
    event->fd = thread->fd;
    event->time_ns = thread->time_ns;
    event->inode = thread->inode;
    event->pid = ids >> 32;
    event->tid = ids;
    event->flags = thread->flags;
    event->before = thread->before;
    event->has_sequence = thread->has_sequence;
    event->peer_family = 0;
    event->after = 0;
    event->n_bytes = 0;
    event->padding = 0;
}

#define EAGAIN 11
#define MSG_FASTOPEN 0x20000000

/* A send that opened its connection: only now are the addresses known. */
INLINE void opened_by_send(struct thread *thread, u64 ids)
{
    u64 key = (ids >> 32) << 32 | thread->fd;
    struct descriptor *known = map_lookup(&descriptors, &key);
    if (!known || !known->unbound || !known->socket)
        return;
    known->unbound = 0;
    if (tell_socket(known, thread->peer, CALL_CONNECT, ids >> 32))
        forget(ids >> 32, thread->fd);
}

/* Return from a call whose entry was recorded. */
CALLED int end(s64 result)
{
    u64 ids = get_current_pid_tgid();
    u32 tid = ids, zero = 0;
    struct thread *thread = map_lookup(&threads, &tid);
    if (!thread || !thread->active)
        return 0;
    thread->active = 0;
    if (!window[1])
        return 0;
    if (result == -EAGAIN && thread->call != CALL_CONNECT)
        return 0;
    struct event *event = map_lookup(&scratch, &zero);
    if (!event)
        return 0;
    head(event, thread, ids);
    event->exit_ns = boottime_ns();
    event->result = result;
    if (thread->has_sequence) {
        /* connect, accept, shutdown: both streams' numbers, received first. */
        u8 neither = thread->direction == NEITHER;
        if (neither)
            event->before = sequence_of(thread->socket, INBOUND);
        event->after = sequence_of(thread->socket, neither ? OUTBOUND : thread->direction);
    }
    if (thread->kind == KIND_TCP && thread->flags & MSG_FASTOPEN)
        opened_by_send(thread, ids);
    if (thread->kind == KIND_UDP && (result >= 0 || thread->direction == OUTBOUND)) {
        if (thread->form == FORM_BUFFER)
            copy_peer(event, thread->peer);
        else if (thread->form == FORM_MESSAGE)
            copy_message_peer(event, thread->where);
    }
    if (thread->by_peer && thread->form != FORM_MESSAGES && !wanted_peer(event))
        return 0;
    if (result > 0 && thread->form != FORM_NONE) {
        if (thread->form == FORM_BUFFER) {
            copy_bytes(event, thread->where, result);
        } else if (thread->form == FORM_VECTORS) {
            copy_vectors(event, thread->where, thread->length, result);
        } else if (thread->form == FORM_MESSAGE) {
            copy_message(event, thread->where, result);
        } else {
            emit_messages(event, thread, result);
            return 0;
        }
    }
    emit(event);
    return 0;
}

#define A(i) (context->arguments[i])
#define BEGIN(call_, fd_, direction_, form_, where_, length_, flags_, peer_)                       \
    struct begun begun = {.call = call_, .fd = fd_, .direction = direction_, .form = form_, .where = where_, \
                          .length = length_, .flags = flags_, .peer = peer_};                      \
    return begin(&begun);
#define ENTER(name, ...)                                                                           \
    SEC("tracepoint/syscalls/sys_enter_" #name) int enter_##name(struct enter *context)            \
    {                                                                                              \
        BEGIN(__VA_ARGS__)                                                                         \
    }
#define LEAVE(name)                                                                                \
    SEC("tracepoint/syscalls/sys_exit_" #name) int exit_##name(struct leave *context)              \
    {                                                                                              \
        return end(context->result);                                                               \
    }

ENTER(read, CALL_READ, A(0), INBOUND, FORM_BUFFER, A(1), A(2), 0, 0)
LEAVE(read)
ENTER(write, CALL_WRITE, A(0), OUTBOUND, FORM_BUFFER, A(1), A(2), 0, 0)
LEAVE(write)
ENTER(readv, CALL_READV, A(0), INBOUND, FORM_VECTORS, A(1), A(2), 0, 0)
LEAVE(readv)
ENTER(writev, CALL_WRITEV, A(0), OUTBOUND, FORM_VECTORS, A(1), A(2), 0, 0)
LEAVE(writev)
ENTER(sendto, CALL_SENDTO, A(0), OUTBOUND, FORM_BUFFER, A(1), A(2), A(3), A(4))
LEAVE(sendto)
ENTER(recvfrom, CALL_RECVFROM, A(0), INBOUND, FORM_BUFFER, A(1), A(2), A(3), A(4))
LEAVE(recvfrom)
ENTER(sendmsg, CALL_SENDMSG, A(0), OUTBOUND, FORM_MESSAGE, A(1), 0, A(2), 0)
LEAVE(sendmsg)
ENTER(recvmsg, CALL_RECVMSG, A(0), INBOUND, FORM_MESSAGE, A(1), 0, A(2), 0)
LEAVE(recvmsg)
ENTER(sendmmsg, CALL_SENDMMSG, A(0), OUTBOUND, FORM_MESSAGES, A(1), A(2), A(3), 0)
LEAVE(sendmmsg)
ENTER(recvmmsg, CALL_RECVMMSG, A(0), INBOUND, FORM_MESSAGES, A(1), A(2), A(3), 0)
LEAVE(recvmmsg)
ENTER(sendfile64, CALL_SENDFILE, A(0), OUTBOUND, FORM_NONE, 0, A(3), 0, 0)
LEAVE(sendfile64)
ENTER(shutdown, CALL_SHUTDOWN, A(0), NEITHER, FORM_NONE, 0, 0, A(1), 0)
LEAVE(shutdown)
ENTER(connect, CALL_CONNECT, A(0), NEITHER, FORM_NONE, 0, 0, 0, A(1))

/* Either end of a splice may be the socket. */
SEC("tracepoint/syscalls/sys_enter_splice") int enter_splice(struct enter *context)
{
    u32 pid = get_current_pid_tgid() >> 32, from = A(0), to = A(2);
    u64 length = A(4);
    u8 is_new = 0;
    asm volatile("" : "+r"(from), "+r"(to)); /* the context is read at fixed places only */
    struct descriptor *into = descriptor_of(pid, to, &is_new);
    if (into && is_socket(into->kind)) {
        BEGIN(CALL_SPLICE, to, OUTBOUND, FORM_NONE, 0, length, 0, 0)
    }
    BEGIN(CALL_SPLICE, from, INBOUND, FORM_NONE, 0, length, 0, 0)
}
LEAVE(splice)

/* The addresses are known once connect() has returned; those before were nobody's. */
SEC("tracepoint/syscalls/sys_exit_connect") int exit_connect(struct leave *context)
{
    u64 ids = get_current_pid_tgid();
    u32 tid = ids;
    struct thread *thread = map_lookup(&threads, &tid);
    if (thread && thread->active && thread->socket) {
        u64 key = (ids >> 32) << 32 | thread->fd;
        struct descriptor *known = map_lookup(&descriptors, &key);
        if (known) {
            known->unbound = 0;
            want(known, ids >> 32);
            thread->by_peer = 0;
            if (!known->wanted)
                thread->active = 0;
            else if (tell_socket(known, thread->peer, CALL_CONNECT, ids >> 32))
                forget(ids >> 32, thread->fd);
        }
    }
    return end(context->result);
}

/* accept: the entry is on the listener, the event is the new socket's. */
ENTER(accept, CALL_ACCEPT, A(0), NEITHER, FORM_NONE, 0, 0, 0, 0)
ENTER(accept4, CALL_ACCEPT, A(0), NEITHER, FORM_NONE, 0, 0, A(3), 0)

CALLED int accepted(s64 result)
{
    u64 ids = get_current_pid_tgid();
    u32 tid = ids;
    struct thread *thread = map_lookup(&threads, &tid);
    if (!thread || !thread->active)
        return 0;
    if (result >= 0) {
        u8 is_new = 0;
        struct descriptor *known = descriptor_of(ids >> 32, result, &is_new);
        if (!known || !known->wanted || !known->socket) {
            thread->active = 0;
            return 0;
        }
        thread->inode = known->inode;
        thread->socket = known->socket;
        thread->kind = known->kind;
        thread->fd = result;
        thread->has_sequence = known->kind == KIND_TCP;
        if (tell_socket(known, 0, CALL_ACCEPT, ids >> 32))
            forget(ids >> 32, result);
    }
    return end(result);
}

SEC("tracepoint/syscalls/sys_exit_accept") int exit_accept(struct leave *context)
{
    return accepted(context->result);
}

SEC("tracepoint/syscalls/sys_exit_accept4") int exit_accept4(struct leave *context)
{
    return accepted(context->result);
}

/* close: written at its entry, while the descriptor is still there; then what was known of it is forgotten. */
SEC("tracepoint/syscalls/sys_enter_close") int enter_close(struct enter *context)
{
    u64 ids = get_current_pid_tgid();
    u32 pid = ids >> 32, fd = A(0), tid = ids, zero = 0;
    u64 key = (u64)pid << 32 | fd;
    if (is_own(pid))
        return 0;
    struct descriptor *known = map_lookup(&descriptors, &key);
    if (!known)
        return 0;
    if ((known->wanted || known->told_by_peer) && is_socket(known->kind) && in_window(boottime_ns())) {
        struct thread *thread = thread_of(tid);
        struct event *event = map_lookup(&scratch, &zero);
        if (thread && event) {
            thread->call = CALL_CLOSE;
            thread->kind = known->kind;
            thread->direction = NEITHER;
            thread->fd = fd;
            thread->inode = known->inode;
            thread->flags = 0;
            thread->has_sequence = known->kind == KIND_TCP && file_of(fd) == known->file;
            thread->before = thread->has_sequence ? sequence_of(known->socket, INBOUND) : 0;
            thread->time_ns = boottime_ns();
            head(event, thread, ids);
            event->exit_ns = 0;
            event->result = 0;
            event->after = thread->has_sequence ? sequence_of(known->socket, OUTBOUND) : 0;
            emit(event);
        }
    }
    map_delete(&descriptors, &key);
    return 0;
}

/* Event-loop turns, of threads that touch sockets. */
CALLED int turn(u32 call)
{
    u64 ids = get_current_pid_tgid();
    u32 tid = ids;
    if (is_own(ids >> 32))
        return 0;
    struct thread *thread = map_lookup(&threads, &tid);
    if (!thread || !thread->touched_socket)
        return 0;
    u64 now_ns = boottime_ns();
    if (!in_window(now_ns))
        return 0;
    thread->call = call;
    thread->kind = KIND_EPOLL;
    thread->direction = NEITHER;
    thread->form = FORM_NONE;
    thread->fd = (u32)-1;
    thread->inode = 0;
    thread->flags = 0;
    thread->has_sequence = 0;
    thread->before = 0;
    thread->active = 1;
    thread->time_ns = now_ns;
    return 0;
}

#define TURN(name, call)                                                                           \
    SEC("tracepoint/syscalls/sys_enter_" #name) int enter_##name(struct enter *context)            \
    {                                                                                              \
        return turn(call);                                                                         \
    }                                                                                              \
    LEAVE(name)

TURN(epoll_wait, CALL_EPOLL_WAIT)
TURN(epoll_pwait, CALL_EPOLL_WAIT)
TURN(epoll_pwait2, CALL_EPOLL_WAIT)
TURN(select, CALL_SELECT)
TURN(pselect6, CALL_SELECT)
TURN(poll, CALL_POLL)
TURN(ppoll, CALL_POLL)

/* A connection ends, whoever had it: at its last acknowledgment, a reset or a timeout, in whatever thread or interrupt that comes. */
SEC("tp_btf/inet_sock_set_state") int inet_sock_set_state(u64 *context)
{
    struct sock *socket = (void *)context[0];
    struct tcp_sock *tcp = (void *)socket;
    u64 key = context[0], now_ns;
    u32 next = 0, last = 0;
    if ((u32)context[2] != TCP_CLOSE)
        return 0;
    u64 *inode = map_lookup(&connections, &key);
    if (!inode || !in_window(now_ns = boottime_ns()))
        return 0;
    struct tcp_info_record record = {.record = RECORD_TCP_INFO, .state = context[1], .time_ns = now_ns, .inode = *inode};
    map_delete(&connections, &key);
    if (record.state == TCP_LISTEN)
        return 0;
    READ(record.error, socket->sk_err);
    READ(record.bytes_sent, tcp->bytes_sent);
    READ(record.bytes_acked, tcp->bytes_acked);
    READ(record.bytes_received, tcp->bytes_received);
    READ(record.bytes_retrans, tcp->bytes_retrans);
    READ(record.rtt_eighths, tcp->srtt_us);
    READ(record.rtt_variation_quarters, tcp->mdev_us);
    READ(record.min_rtt_us, tcp->rtt_min.s[0].v);
    READ(record.segs_out, tcp->segs_out);
    READ(record.segs_in, tcp->segs_in);
    READ(record.total_retrans, tcp->total_retrans);
    READ(record.out_of_order, tcp->rcv_ooopack);
    READ(record.snd_cwnd, tcp->snd_cwnd);
    READ(record.snd_mss, tcp->mss_cache);
    READ(next, tcp->write_seq);
    READ(last, tcp->snd_una);
    record.unacknowledged = next - last;
    READ(next, tcp->rcv_nxt);
    READ(last, tcp->copied_seq);
    record.unread = next - last;
    deliver(&record, sizeof(record), COUNT_NO_TCP_INFO);
    return 0;
}

/* Sockets that were open before: read once by the loader. One step per process and open file. */
SEC("iter/task_file") int open_before(struct iterate *context)
{
    struct task_struct *task = context->task;
    struct file *file = context->file;
    if (!task || !file)
        return 0;
    u32 pid = task->tgid;
    struct descriptor known = {};
    if (is_own(pid))
        return 0;
    learn(file, &known, pid);
    if (known.wanted && known.socket)
        tell_socket(&known, 0, CALL_NONE, pid);
    return 0;
}

char license_text[] SEC("license") = "Dual MIT/GPL";
