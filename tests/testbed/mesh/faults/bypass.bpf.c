// Sends IPv4 packets for one address straight into the namespace behind a port, past that port's own taps (bpf_redirect_peer). cut.py
// says which: PORT is an interface's number, ADDRESS an address as it lies in memory. It never touches another packet.
// From linux/bpf.h, the few fields and numbers that are used.

struct __sk_buff {
    unsigned int len, pkt_type, mark, queue_mapping, protocol, vlan_present, vlan_tci, vlan_proto, priority, ingress_ifindex, ifindex,
        tc_index, cb[5], hash, tc_classid, data, data_end;
};

static long (*redirect_peer)(unsigned int port, unsigned long flags) = (void *)155;

#define PASS 0
#define IPV4_DESTINATION (14 + 16)

__attribute__((section("classifier"), used)) int bypass(struct __sk_buff *packet) {
    unsigned char *data = (void *)(long)packet->data, *end = (void *)(long)packet->data_end;
    if (data + IPV4_DESTINATION + 4 > end || data[12] != 8 || data[13] != 0) return PASS;
    if (*(unsigned int *)(data + IPV4_DESTINATION) != ADDRESS) return PASS;
    return redirect_peer(PORT, 0);
}

__attribute__((section("license"), used)) char licence_of_this[] = "GPL";
