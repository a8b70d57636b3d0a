package hostile;

import java.io.File;
import java.io.FileOutputStream;
import java.io.InputStream;
import java.io.OutputStream;
import java.lang.reflect.Field;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import org.apache.flink.table.functions.ScalarFunction;

/** What a script of an attacker may call. */
public class Hostile extends ScalarFunction {

    @Override
    public boolean isDeterministic() {
        return false; // not called while it is planned
    }

    public String eval(String what, String argument) throws Exception {
        switch (what) {
            case "hello":
                return "hello " + argument;
            case "spin":
                System.out.println("it spins");
                for (long i = 0; ; i++) {
                    if (i == Long.MIN_VALUE) {
                        return "never";
                    }
                }
            case "heap":
                List<byte[]> held = new ArrayList<>();
                while (true) {
                    held.add(new byte[1 << 20]);
                }
            case "native":
                Field field = Class.forName("sun.misc.Unsafe").getDeclaredField("theUnsafe");
                field.setAccessible(true);
                sun.misc.Unsafe unsafe = (sun.misc.Unsafe) field.get(null);
                while (true) {
                    unsafe.setMemory(unsafe.allocateMemory(16 << 20), 16 << 20, (byte) 1);
                }
            case "threads":
                for (int i = 0; ; i++) {
                    new Thread(() -> {
                        try {
                            Thread.sleep(Long.MAX_VALUE);
                        } catch (InterruptedException e) {
                            throw new IllegalStateException(e);
                        }
                    }).start();
                }
            case "print":
                String kib = new String(new char[1024]).replace('\0', 'x');
                for (int i = 0; i < 1 << 20; i++) {
                    System.out.println(kib);
                }
                return "printed";
            case "complain":
                String line = new String(new char[1 << 20]).replace('\0', 'x');
                for (int i = 0; i < 1 << 10; i++) {
                    System.err.println(line);
                }
                return "complained";
            case "exit":
                System.exit(Integer.parseInt(argument));
                return "never";
            case "halt":
                Runtime.getRuntime().halt(Integer.parseInt(argument));
                return "never";
            case "read":
                return new String(Files.readAllBytes(Paths.get(argument)), StandardCharsets.UTF_8).replace('\n', ' ');
            case "connect":
                try (Socket s = new Socket()) {
                    s.connect(new InetSocketAddress(argument.split(":")[0], Integer.parseInt(argument.split(":")[1])), 3000);
                    return "connected";
                }
            case "fill":
                File full = new File(argument, "fill");
                try (OutputStream out = new FileOutputStream(full)) {
                    byte[] block = new byte[1 << 20];
                    while (true) {
                        out.write(block);
                    }
                } finally {
                    full.delete();
                }
            case "environment":
                return String.valueOf(System.getenv());
            case "helper": // a program of its own: mode and mark
                Path file = Files.createTempFile("helper", "");
                try (InputStream in = Hostile.class.getResourceAsStream("/helper")) {
                    Files.copy(in, file, StandardCopyOption.REPLACE_EXISTING);
                }
                if (!file.toFile().setExecutable(true)) {
                    throw new IllegalStateException("not executable");
                }
                String[] words = argument.split(" ");
                Process p = new ProcessBuilder(file.toString(), words[0], words[1]).redirectErrorStream(true).start();
                return new String(p.getInputStream().readNBytes(200), StandardCharsets.UTF_8).trim();
            case "each": // of several, its row or what it throws
                StringBuilder found = new StringBuilder();
                for (String one : argument.split("[|]")) {
                    String[] parts = one.split(" ", 2);
                    try {
                        found.append("+I[").append(eval(parts[0], parts[1])).append(']');
                    } catch (Exception e) {
                        found.append(e);
                    }
                    found.append(" ## ");
                }
                return found.toString();
            default:
                throw new IllegalArgumentException(what);
        }
    }
}
