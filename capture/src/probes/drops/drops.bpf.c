/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Packets that the kernel dropped, and why. Never a payload byte. */
#include "../passage.bpf.h"

/* skb, where it was dropped, why. */
SEC("tp_btf/kfree_skb") int kfree_skb(u64 *context)
{
    return passed((void *)context[0], 0, context[1], context[2]);
}

char license_text[] SEC("license") = "Dual MIT/GPL";
