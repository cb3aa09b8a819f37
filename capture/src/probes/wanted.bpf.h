/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Which processes are recorded: those of the filters, all where there is none. */
#include "kernel.bpf.h"

const volatile u32 filter_processes = 0;
const volatile u32 filter_cgroups = 0;
const volatile u32 filter_namespaces = 0;

#define FILTER(name, key_type)                                                                     \
    struct {                                                                                       \
        MAP_UINT(type, HASH);                                                                      \
        MAP_UINT(max_entries, 4096);                                                               \
        MAP_TYPE(key, key_type);                                                                   \
        MAP_TYPE(value, u8);                                                                       \
    } name SEC(".maps")

FILTER(wanted_processes, u32);
FILTER(wanted_cgroups, u64);
FILTER(wanted_namespaces, u32);

/* Of a process, by itself and its cgroup. */
INLINE int wanted_process(u32 pid)
{
    if (filter_processes && !map_lookup(&wanted_processes, &pid))
        return 0;
    if (filter_cgroups) {
        u64 cgroup = get_current_cgroup_id();
        if (!map_lookup(&wanted_cgroups, &cgroup))
            return 0;
    }
    return 1;
}

/* The current process, by its namespace, too. */
INLINE int wanted(u32 pid)
{
    struct nsproxy *spaces = NULL;
    struct net *net = NULL;
    u32 number = 0;
    if (!wanted_process(pid))
        return 0;
    if (!filter_namespaces)
        return 1;
    READ(spaces, current_task()->nsproxy);
    if (spaces)
        READ(net, spaces->net_ns);
    if (net)
        READ(number, net->ns.inum);
    return map_lookup(&wanted_namespaces, &number) != NULL;
}
