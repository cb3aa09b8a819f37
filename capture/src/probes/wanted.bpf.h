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

/* Cgroups are looked at so many levels down from the root, which is the first; a container lies in the fifth or so. */
#define MAX_CGROUP_LEVELS 16

/* A cgroup is its own ancestor. */
CALLED int in_wanted_cgroup(void)
{
    for (int level = 0; level < MAX_CGROUP_LEVELS; level++) {
        u64 cgroup = get_current_ancestor_cgroup_id(level);
        if (!cgroup)
            return 0;
        if (map_lookup(&wanted_cgroups, &cgroup))
            return 1;
    }
    return 0;
}

/* Of a process, by itself and the cgroups that it is in. */
INLINE int wanted_process(u32 pid)
{
    if (filter_processes && !map_lookup(&wanted_processes, &pid))
        return 0;
    return !filter_cgroups || in_wanted_cgroup();
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
