/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* A packet at one point of the network stack: when, where, and its headers from the network layer on. Only what lies in the
 * packet's linear part is seen, and never a byte behind the transport header. Shared by `drops` and `kernel_path`. */
#ifndef AFTERPATH_PASSAGE_H
#define AFTERPATH_PASSAGE_H

#include "kernel.bpf.h"

/* Bytes of headers at most: IPv6 with some extensions, and TCP with options. */
#define MAX_HEADER 128

const volatile u32 filter_ports = 0;
const volatile u32 filter_namespaces = 0;

volatile u64 window[2] = {~0ULL, ~0ULL};

/* One record. Read in passage.rs by these offsets. */
struct passage {
    u64 time_ns, location;
    u32 point, reason, ifindex, netns, length, n_header;
    u8 header[MAX_HEADER];
};
#define PASSAGE_HEAD 40

struct {
    MAP_UINT(type, RINGBUF);
    MAP_UINT(max_entries, 1 << 22);
} ring SEC(".maps");

struct {
    MAP_UINT(type, HASH);
    MAP_UINT(max_entries, 4096);
    MAP_TYPE(key, u16);
    MAP_TYPE(value, u8);
} wanted_ports SEC(".maps");

struct {
    MAP_UINT(type, HASH);
    MAP_UINT(max_entries, 4096);
    MAP_TYPE(key, u32);
    MAP_TYPE(value, u8);
} wanted_namespaces SEC(".maps");

/* The order of COUNTS in passage.rs. */
enum count { COUNT_RECORDS, COUNT_RING_FULL, N_COUNTS };

COUNTS(counts, N_COUNTS);

/* Bytes up to the end of the transport header, as far as `n` bytes tell; ports of TCP and UDP, host order. 0: not IP. */
INLINE u32 measure(const u8 *header, u32 n, u16 ports[2])
{
    u8 version = header[0] >> 4, protocol;
    u64 at;
    if (version == 4 && n >= 20) {
        at = (header[0] & 15) * 4;
        protocol = (header[6] & 0x1f) || header[7] ? 0 : header[9];
    } else if (version == 6 && n >= 40) {
        at = 40;
        protocol = header[6];
    } else {
        return 0;
    }
    asm volatile("" : "+r"(at));
    at &= 63;
    if (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP)
        return at < n ? at : n;
    ports[0] = header[at] << 8 | header[at + 1];
    ports[1] = header[at + 2] << 8 | header[at + 3];
    u32 end = at + (protocol == IPPROTO_TCP ? (header[at + 12] >> 4) * 4 : 8);
    return end < n ? end : n;
}

/* Records one packet at `point`. */
INLINE int passed(struct sk_buff *packet, u32 point, u64 location, u32 reason)
{
    struct passage record = {};
    struct net_device *device = NULL;
    struct net *net = NULL;
    struct sock *socket = NULL;
    unsigned char *head = NULL, *data = NULL;
    unsigned int length = 0, paged = 0;
    u16 protocol = 0, network = 0, ports[2] = {};
    u64 now_ns = boottime_ns();
    if (now_ns < window[0] || now_ns >= window[1])
        return 0;
    READ(protocol, packet->protocol);
    if (protocol != 0x0008 && protocol != 0xdd86) /* IPv4, IPv6 */
        return 0;
    READ(device, packet->dev);
    if (device) {
        READ(record.ifindex, device->ifindex);
        READ(net, device->nd_net.net);
    } else {
        READ(socket, packet->sk);
        if (socket)
            READ(net, socket->__sk_common.skc_net.net);
    }
    if (net)
        READ(record.netns, net->ns.inum);
    if (filter_namespaces && !map_lookup(&wanted_namespaces, &record.netns))
        return 0;
    READ(head, packet->head);
    READ(data, packet->data);
    READ(network, packet->network_header);
    READ(length, packet->len);
    READ(paged, packet->data_len);
    /* What is linear ends at data + len - data_len; the network header may lie before or behind data. */
    s64 n = data + (length - paged) - (head + network);
    if (network == 0 || network == 0xffff || n <= 0)
        return 0;
    u32 size = n;
    BOUND(size, MAX_HEADER);
    if (!size || size > MAX_HEADER || read_kernel(record.header, size, head + network))
        return 0;
    size = measure(record.header, size, ports);
    if (!size)
        return 0;
    if (filter_ports && !map_lookup(&wanted_ports, &ports[0]) && !map_lookup(&wanted_ports, &ports[1]))
        return 0;
    record.time_ns = now_ns;
    record.location = location;
    record.point = point;
    record.reason = reason;
    s64 whole = data + length - (head + network);
    record.length = whole > 0 ? whole : 0;
    BOUND(size, MAX_HEADER);
    if (size > MAX_HEADER)
        return 0;
    record.n_header = size;
    count_in(&counts, N_COUNTS, COUNT_RECORDS, 1);
    if (ringbuf_output(&ring, &record, PASSAGE_HEAD + size, NO_WAKEUP))
        count_in(&counts, N_COUNTS, COUNT_RING_FULL, 1);
    return 0;
}

#endif
