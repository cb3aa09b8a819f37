//! Redis's commands: their names, and where each has its first key. Never says where values are: what is not a key is
//! not looked at, so that no value and no password can get out.
//!
//! Source: redis.io/docs/latest/commands, fields "first key" and "container commands".

/// Where the first key (or channel, of the publish/subscribe commands) stands among a command's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    None,
    At(usize),
    /// Behind the number of keys, which stands here.
    Counted(usize),
    /// Behind the word STREAMS.
    Streams,
}

/// How far STREAMS is searched for: GROUP g c COUNT n BLOCK n NOACK CLAIM n come before it.
const STREAMS_WITHIN: usize = 16;

/// Commands whose second word says what is done.
const CONTAINERS: &str = " ACL CLIENT CLUSTER COMMAND CONFIG DEBUG FUNCTION LATENCY MEMORY MODULE OBJECT PUBSUB SCRIPT \
    SENTINEL SLOWLOG XGROUP XINFO ";

const KEYLESS: &str = " ACL ASKING AUTH BGREWRITEAOF BGSAVE CLIENT CLUSTER COMMAND CONFIG DBSIZE DEBUG DISCARD ECHO EXEC \
    FAILOVER FLUSHALL FLUSHDB FUNCTION HELLO INFO KEYS LASTSAVE LATENCY LOLWUT MODULE MONITOR MULTI PING PSYNC PUBSUB \
    QUIT RANDOMKEY READONLY READWRITE REPLCONF REPLICAOF RESET ROLE SAVE SCAN SCRIPT SELECT SENTINEL SHUTDOWN SLAVEOF \
    SLOWLOG SWAPDB SYNC TIME UNWATCH WAIT WAITAOF ";

const FIRST: &str = " APPEND BITCOUNT BITFIELD BITFIELD_RO BITPOS BLMOVE BLPOP BRPOP BRPOPLPUSH BZPOPMAX BZPOPMIN COPY \
    DECR DECRBY DEL DELEX DIGEST DUMP EXISTS EXPIRE EXPIREAT EXPIRETIME GEOADD GEODIST GEOHASH GEOPOS GEORADIUS \
    GEORADIUSBYMEMBER GEORADIUSBYMEMBER_RO GEORADIUS_RO GEOSEARCH GEOSEARCHSTORE GET GETBIT GETDEL GETEX GETRANGE GETSET \
    HDEL HEXISTS HEXPIRE HEXPIREAT HEXPIRETIME HGET HGETALL HGETDEL HGETEX HINCRBY HINCRBYFLOAT HKEYS HLEN HMGET HMSET \
    HPERSIST HPEXPIRE HPEXPIREAT HPEXPIRETIME HPTTL HRANDFIELD HSCAN HSET HSETEX HSETNX HSTRLEN HTTL HVALS INCR INCRBY \
    INCRBYFLOAT LCS LINDEX LINSERT LLEN LMOVE LPOP LPOS LPUSH LPUSHX LRANGE LREM LSET LTRIM MGET MOVE MSET MSETNX PERSIST \
    PEXPIRE PEXPIREAT PEXPIRETIME PFADD PFCOUNT PFDEBUG PFMERGE PSETEX PSUBSCRIBE PTTL PUBLISH PUNSUBSCRIBE RENAME \
    RENAMENX RESTORE RPOP RPOPLPUSH RPUSH RPUSHX SADD SCARD SDIFF SDIFFSTORE SET SETBIT SETEX SETNX SETRANGE SINTER \
    SINTERSTORE SISMEMBER SMEMBERS SMISMEMBER SMOVE SORT SORT_RO SPOP SPUBLISH SRANDMEMBER SREM SSCAN SSUBSCRIBE STRLEN \
    SUBSCRIBE SUBSTR SUNION SUNIONSTORE SUNSUBSCRIBE TOUCH TTL TYPE UNLINK UNSUBSCRIBE VADD VCARD VDIM VEMB VGETATTR \
    VINFO VISMEMBER VLINKS VRANDMEMBER VREM VSETATTR VSIM WATCH XACK XACKDEL XADD XAUTOCLAIM XCLAIM XDEL XDELEX XLEN \
    XPENDING XRANGE XREVRANGE XSETID XTRIM ZADD ZCARD ZCOUNT ZDIFFSTORE ZINCRBY ZINTERSTORE ZLEXCOUNT ZMSCORE ZPOPMAX \
    ZPOPMIN ZRANDMEMBER ZRANGE ZRANGEBYLEX ZRANGEBYSCORE ZRANGESTORE ZRANK ZREM ZREMRANGEBYLEX ZREMRANGEBYRANK \
    ZREMRANGEBYSCORE ZREVRANGE ZREVRANGEBYLEX ZREVRANGEBYSCORE ZREVRANK ZSCAN ZSCORE ZUNIONSTORE ";

const SECOND: &str = " BITOP MEMORY OBJECT XGROUP XINFO ";
const COUNTED_FIRST: &str = " LMPOP SINTERCARD ZDIFF ZINTER ZINTERCARD ZMPOP ZUNION ";
const COUNTED_SECOND: &str = " BLMPOP BZMPOP EVAL EVALSHA EVALSHA_RO EVAL_RO FCALL FCALL_RO ";
const STREAMS: &str = " XREAD XREADGROUP ";

/// Whether Redis itself has a command of this name.
pub(super) fn is_known(name: &[u8]) -> bool {
    let Some(name) = spelled(name) else { return false };
    key_of(&name).is_some() || name == "MIGRATE"
}

/// Whether the second word belongs to the command's name.
pub(super) fn is_container(name: &[u8]) -> bool {
    spelled(name).is_some_and(|name| holds(CONTAINERS, &name))
}

/// How many of a command's words must be known to name it and its key, given the first of them.
pub(super) fn words_wanted(words: &[Vec<u8>]) -> usize {
    let Some(name) = words.first() else { return 1 };
    let for_key = match key(name) {
        Key::None => 1,
        Key::At(n) => n + 1,
        Key::Counted(n) => n + 2,
        Key::Streams => match words.iter().position(|w| w.eq_ignore_ascii_case(b"STREAMS")) {
            Some(n) => n + 2,
            None => STREAMS_WITHIN,
        },
    };
    // CLIENT REPLY says by its third word which replies will fail to come; REPLCONF ACK is never answered.
    let for_name = match spelled(name).as_deref() {
        Some("CLIENT") => 3,
        Some("REPLCONF") => 2,
        _ if is_container(name) => 2,
        _ => 1,
    };
    for_key.max(for_name)
}

/// The first key of a command, or of a publish/subscribe command the first channel.
pub(super) fn first_key(words: &[Vec<u8>]) -> Option<&[u8]> {
    let name = words.first()?;
    let at = match key(name) {
        Key::None => return None,
        Key::At(n) => n,
        Key::Counted(n) if words.get(n)? == b"0" => return None,
        Key::Counted(n) => n + 1,
        Key::Streams => words.iter().position(|w| w.eq_ignore_ascii_case(b"STREAMS"))? + 1,
    };
    words.get(at).map(Vec::as_slice)
}

fn key(name: &[u8]) -> Key {
    let Some(name) = spelled(name) else { return Key::None };
    // Commands of modules (JSON.GET, FT.SEARCH, BF.ADD …) name their key or index first.
    key_of(&name).unwrap_or(if name.contains('.') { Key::At(1) } else { Key::None })
}

fn key_of(name: &str) -> Option<Key> {
    let table = [
        (FIRST, Key::At(1)),
        (KEYLESS, Key::None),
        (SECOND, Key::At(2)),
        (COUNTED_FIRST, Key::Counted(1)),
        (COUNTED_SECOND, Key::Counted(2)),
        (STREAMS, Key::Streams),
    ];
    table.into_iter().find(|(names, _)| holds(names, name)).map(|(_, key)| key)
}

fn spelled(name: &[u8]) -> Option<String> {
    let word = name.len() <= 32 && super::seek::is_word(name);
    word.then(|| String::from_utf8_lossy(name).to_ascii_uppercase())
}

fn holds(names: &str, name: &str) -> bool {
    names.split(' ').any(|known| known == name)
}

#[cfg(test)]
mod tests {
    use super::{first_key, words_wanted};

    fn check(command: &str, key: Option<&str>) {
        let mut words: Vec<Vec<u8>> = Vec::new();
        for word in command.split(' ') {
            if words.len() < words_wanted(&words) {
                words.push(word.as_bytes().to_vec());
            }
        }
        assert_eq!(first_key(&words), key.map(str::as_bytes), "{command}");
    }

    #[test]
    fn the_first_key_is_found() {
        check("GET k", Some("k"));
        check("set k secret", Some("k"));
        check("PING", None);
        check("AUTH user password", None);
        check("OBJECT ENCODING k", Some("k"));
        check("EVAL script 0 secret", None);
        check("EVAL script 2 k1 k2 secret", Some("k1"));
        check("ZUNION 2 a b", Some("a"));
        check("BLMPOP 5 2 a b LEFT", Some("a"));
        check("XREADGROUP GROUP g c COUNT 5 BLOCK 0 STREAMS s1 s2 > >", Some("s1"));
        check("JSON.GET doc $.a", Some("doc"));
        check("UNHEARDOF secret", None);
    }
}
