/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Packets as they pass the host's stack points, in every namespace. Never a payload byte. */
#include "../passage.bpf.h"

/* `point`; names stand in the same order in mod.rs. */
enum point { NETIF_RECEIVE_SKB, NET_DEV_QUEUE, NET_DEV_START_XMIT };

/* A device handed it to the stack. */
SEC("tp_btf/netif_receive_skb") int netif_receive_skb(u64 *context)
{
    return passed((void *)context[0], NETIF_RECEIVE_SKB, 0, 0);
}

/* The stack handed it to a device's queue. */
SEC("tp_btf/net_dev_queue") int net_dev_queue(u64 *context)
{
    return passed((void *)context[0], NET_DEV_QUEUE, 0, 0);
}

/* It left the queue. */
SEC("tp_btf/net_dev_start_xmit") int net_dev_start_xmit(u64 *context)
{
    return passed((void *)context[0], NET_DEV_START_XMIT, 0, 0);
}

char license_text[] SEC("license") = "Dual MIT/GPL";
