import java.io.EOFException;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/**
 * A server in front, like those of handed_over.py: a thread per connection, whose calls are made by a pool that all share, while it waits.
 *
 * <pre>java HandedOver.java BACK THREADS</pre>
 */
public class HandedOver {
    private static final ThreadLocal<Socket> OWN = new ThreadLocal<>();
    private static final String ANSWER = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

    private static Void ask(String host, int port, String path) throws IOException {
        Socket socket = OWN.get();
        if (socket == null) {
            socket = new Socket(host, port);
            socket.setTcpNoDelay(true);
            OWN.set(socket);
        }
        write(socket, "GET " + path + " HTTP/1.1\r\nHost: back\r\n\r\n");
        StringBuilder answer = new StringBuilder();
        while (!answer.toString().endsWith("\r\n\r\nok")) {
            answer.append(read(socket));
        }
        return null;
    }

    private static void write(Socket socket, String text) throws IOException {
        socket.getOutputStream().write(text.getBytes(StandardCharsets.ISO_8859_1));
    }

    private static String read(Socket socket) throws IOException {
        byte[] bytes = new byte[4096];
        int n = socket.getInputStream().read(bytes);
        if (n <= 0) {
            throw new EOFException();
        }
        return new String(bytes, 0, n, StandardCharsets.ISO_8859_1);
    }

    private static void serve(Socket client, ExecutorService pool, String host, int port) {
        try (client) {
            while (true) {
                String[] path = read(client).split(" ")[1].split("/");
                List<Future<Void>> calls = new ArrayList<>();
                for (int step = 0; step < Integer.parseInt(path[2]); step++) {
                    String call = "/back/" + step + "/" + path[3];
                    calls.add(pool.submit(() -> ask(host, port, call)));
                }
                for (Future<Void> call : calls) {
                    call.get();
                }
                write(client, ANSWER);
            }
        } catch (Exception gone) {
            // The client is done.
        }
    }

    public static void main(String[] arguments) throws IOException {
        String[] back = arguments[0].split(":");
        ExecutorService pool = Executors.newFixedThreadPool(Integer.parseInt(arguments[1]));
        ServerSocket listener = new ServerSocket(0, 128, InetAddress.getByName("127.0.0.1"));
        System.out.println("127.0.0.1:" + listener.getLocalPort());
        while (true) {
            Socket client = listener.accept();
            client.setTcpNoDelay(true);
            new Thread(() -> serve(client, pool, back[0], Integer.parseInt(back[1]))).start();
        }
    }
}
