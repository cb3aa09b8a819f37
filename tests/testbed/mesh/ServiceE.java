import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.HashMap;
import java.util.Random;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.LinkedBlockingQueue;

/**
 * Service E, the mesh's rates: a pool of threads reads requests and hands them to another pool, which asks redis and postgres, the
 * latter over fewer connections than there are requests, and answers. It logs each request as services/spans.py does.
 * It never uses anything but the JDK, nor a timer unless it is told to.
 */
public final class ServiceE {
    private static final double[] SLOWNESS_MS = {0, 0, 1, 3, 6, 12, 25, 50};

    private final Map<String, String> given;
    private final Random chance;
    private final double stretch;
    private final double timerSeconds;
    private final BlockingQueue<Redis> redis = new LinkedBlockingQueue<>();
    private final BlockingQueue<Postgres> postgres = new LinkedBlockingQueue<>();
    private final ExecutorService workers;

    private ServiceE(Map<String, String> given) throws IOException {
        this.given = given;
        int concurrency = Integer.parseInt(given.get("--concurrency"));
        chance = new Random(Long.parseLong(given.get("--seed")) ^ 0xE);
        stretch = Double.parseDouble(given.get("--stretch"));
        timerSeconds = Double.parseDouble(given.get("--timer"));
        workers = Executors.newFixedThreadPool(2 * concurrency + 2);
        for (int i = 0; i < concurrency + 1; i++) {
            redis.add(new Redis(endpoint(given.get("--redis"))));
        }
        // Smaller than the concurrency: some wait for a connection.
        for (int i = 0; i < Integer.parseInt(given.get("--connections")); i++) {
            postgres.add(new Postgres(endpoint(given.get("--postgres"))));
        }
    }

    private static InetSocketAddress endpoint(String text) {
        int colon = text.lastIndexOf(':');
        return new InetSocketAddress(text.substring(0, colon).replace("[", "").replace("]", ""), Integer.parseInt(text.substring(colon + 1)));
    }

    private static String dotted(InetSocketAddress end) {
        String host = end.getAddress().getHostAddress().replaceAll("%.*", "");
        return (host.contains(":") ? "[" + shortened(host) + "]" : host) + ":" + end.getPort();
    }

    /** Java writes each group of an IPv6 address; everybody else leaves the longest run of zeros out. */
    private static String shortened(String host) {
        return host.replaceFirst("(^|:)(0(:0)+)(:|$)", "::");
    }

    private static long now() {
        Instant at = Instant.now();
        return at.getEpochSecond() * 1_000_000_000L + at.getNano();
    }

    private synchronized double draw() {
        return chance.nextDouble();
    }

    private synchronized String newId() {
        return String.format("%016x", chance.nextLong() ^ now());
    }

    private static void spin(double milliseconds) {
        long end = System.nanoTime() + (long) (milliseconds * 1e6);
        while (System.nanoTime() < end) {
            Thread.onSpinWait();
        }
    }

    /** What leaves no trace: only where it was asked for, half of the times. */
    private void pause() throws InterruptedException {
        if (timerSeconds > 0 && draw() < 0.5) {
            Thread.sleep((long) (-Math.log(1 - draw()) * timerSeconds * 1000));
        }
    }

    /** A socket to a store, its streams, and both its ends. */
    private static class Store {
        final Socket socket = new Socket();
        final DataInputStream in;
        final DataOutputStream out;
        final String local;
        final String remote;

        Store(InetSocketAddress at) throws IOException {
            socket.connect(at);
            socket.setTcpNoDelay(true);
            in = new DataInputStream(new BufferedInputStream(socket.getInputStream()));
            out = new DataOutputStream(socket.getOutputStream());
            local = dotted((InetSocketAddress) socket.getLocalSocketAddress());
            remote = dotted(at);
        }
    }

    /** A redis connection; one command at a time. */
    private static final class Redis extends Store {
        Redis(InetSocketAddress at) throws IOException {
            super(at);
        }

        void ask(String... words) throws IOException {
            StringBuilder text = new StringBuilder("*" + words.length + "\r\n");
            for (String word : words) {
                text.append('$').append(word.length()).append("\r\n").append(word).append("\r\n");
            }
            out.write(text.toString().getBytes(StandardCharsets.US_ASCII));
        }

        void answer() throws IOException {
            String line = line();
            if (line.startsWith("$") && !line.equals("$-1")) {
                in.skipNBytes(Integer.parseInt(line.substring(1)) + 2);
            } else if (!line.startsWith("$") && !line.startsWith(":") && !line.startsWith("+")) {
                throw new IOException("redis: " + line);
            }
        }

        private String line() throws IOException {
            StringBuilder line = new StringBuilder();
            for (int each = in.readUnsignedByte(); each != '\n'; each = in.readUnsignedByte()) {
                line.append((char) each);
            }
            return line.toString().trim();
        }
    }

    /** A postgres connection (simple queries, no password); one statement at a time. */
    private static final class Postgres extends Store {
        Postgres(InetSocketAddress at) throws IOException {
            super(at);
            byte[] words = "user\0postgres\0database\0postgres\0\0".getBytes(StandardCharsets.US_ASCII);
            out.writeInt(8 + words.length);
            out.writeInt(196608);
            out.write(words);
            answer();
        }

        void ask(String statement) throws IOException {
            byte[] text = statement.getBytes(StandardCharsets.US_ASCII);
            ByteArrayOutputStream message = new ByteArrayOutputStream();
            DataOutputStream writer = new DataOutputStream(message);
            writer.writeByte('Q');
            writer.writeInt(5 + text.length);
            writer.write(text);
            writer.writeByte(0);
            out.write(message.toByteArray());
        }

        /** Reads up to ReadyForQuery. */
        void answer() throws IOException {
            for (int kind = in.readUnsignedByte(); ; kind = in.readUnsignedByte()) {
                in.skipNBytes(in.readInt() - 4);
                if (kind == 'Z') {
                    return;
                }
                if (kind == 'E') {
                    throw new IOException("postgres: an error");
                }
            }
        }
    }

    /** One request as this process sees it. */
    private final class Span {
        final HttpExchange exchange;
        final long read = now();
        final String thread = Thread.currentThread().getName();
        final List<String> calls = new ArrayList<>();

        Span(HttpExchange exchange) {
            this.exchange = exchange;
        }

        void add(Store at, String protocol, String operation, String resource, long started, String more) {
            calls.add(String.format(Locale.ROOT,
                "{\"call_id\":\"%s\",\"order\":%d,\"protocol\":\"%s\",\"operation\":\"%s\",\"resource\":\"%s\",\"local\":\"%s\",\"remote\":\"%s\","
                + "\"t_start_ns\":%d,\"t_sent_ns\":%d,\"t_end_ns\":%d,%s}",
                newId(), calls.size(), protocol, operation, resource, at.local, at.remote, started, started, now(), more));
        }

        String header(String name) {
            String value = exchange.getRequestHeaders().getFirst(name);
            return value == null ? "" : value;
        }

        String line(int status, long before) {
            return String.format(Locale.ROOT,
                "{\"service\":\"E\",\"request_id\":\"%s\",\"parent_call_id\":\"%s\",\"span_id\":\"%s\",\"method\":\"%s\",\"path\":\"%s\",\"status\":%d,"
                + "\"pid\":%d,\"thread\":\"%s\",\"thread_write\":\"%s\",\"local\":\"%s\",\"peer\":\"%s\",\"t_read_after_ns\":%d,\"t_write_before_ns\":%d,"
                + "\"calls\":[%s]}\n",
                header("X-Request-Id"), header("X-Testbed-Span"), newId(), exchange.getRequestMethod(), exchange.getRequestURI(), status,
                ProcessHandle.current().pid(), thread, Thread.currentThread().getName(), dotted(exchange.getLocalAddress()),
                dotted(exchange.getRemoteAddress()), read, before, String.join(",", calls));
        }
    }

    private void askRedis(Span span, String operation, String key) throws IOException, InterruptedException {
        pause();
        Redis lent = redis.take();
        try {
            long started = now();
            lent.ask(operation, key);
            lent.answer();
            span.add(lent, "redis", operation, key, started, "\"pipeline\":[0,1]");
        } finally {
            redis.add(lent);
        }
    }

    private void askPostgres(Span span, String columns, String item) throws IOException, InterruptedException {
        pause();
        double slow = SLOWNESS_MS[(int) (draw() * SLOWNESS_MS.length)] * stretch / 1000;
        String statement = String.format(Locale.ROOT, "SELECT %s FROM items, pg_sleep(%.4f) WHERE id = %s", columns, slow, item);
        Postgres lent = postgres.take();
        try {
            long started = now();
            lent.ask(statement);
            lent.answer();
            span.add(lent, "postgres", "SELECT", statement, started, "\"step\":\"QUERY\"");
        } finally {
            postgres.add(lent);
        }
    }

    /** What a rate or a find asks: either store or both, in an order of chance. */
    private void work(Span span) throws IOException, InterruptedException {
        spin(0.05 + draw() * (draw() < 0.1 ? 3 : 0.4));
        String[] words = span.exchange.getRequestURI().getPath().split("/");
        boolean find = words[1].equals("find");
        String item = words[2];
        if (draw() < 0.5) {
            askRedis(span, "GET", words[1] + ":" + item);
            if (draw() < 0.4) {
                return;
            }
            askPostgres(span, find ? "id, name, description" : "stock", item);
        } else {
            askPostgres(span, find ? "id, name" : "stock", item);
            askRedis(span, "INCR", "asked:" + item);
        }
    }

    private void answer(Span span) {
        int status = 200;
        try {
            work(span);
        } catch (IOException | InterruptedException | RuntimeException error) {
            status = 500;
        }
        byte[] said = "{\"rate\": 7}".getBytes(StandardCharsets.US_ASCII);
        long before = now();
        try (span.exchange) {
            span.exchange.getResponseHeaders().set("Content-Type", "application/json");
            span.exchange.sendResponseHeaders(status, said.length);
            span.exchange.getResponseBody().write(said);
        } catch (IOException gone) {
            status = 0;
        }
        log(span.line(status, before));
    }

    private synchronized void log(String line) {
        try {
            Files.writeString(Path.of(given.get("--truth")), line, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
        } catch (IOException error) {
            throw new IllegalStateException(error);
        }
    }

    /** The first pool reads, and hands over; the second one works and answers. */
    private void handle(HttpExchange exchange) throws IOException {
        try (InputStream body = exchange.getRequestBody()) {
            body.readAllBytes();
        }
        Span span = new Span(exchange);
        workers.execute(() -> answer(span));
    }

    public static void main(String[] words) throws IOException {
        Map<String, String> given = new HashMap<>();
        for (int i = 0; i + 1 < words.length; i += 2) {
            given.put(words[i], words[i + 1]);
        }
        ServiceE service = new ServiceE(given);
        HttpServer server = HttpServer.create(endpoint(given.get("--listen")), Integer.parseInt(given.get("--backlog")));
        server.setExecutor(Executors.newFixedThreadPool(4));
        server.createContext("/", service::handle);
        server.start();
    }
}
