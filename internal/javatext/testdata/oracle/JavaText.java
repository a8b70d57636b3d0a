import java.io.BufferedOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;

/**
 * Prints what this Java makes of random inputs, for the tests of the package javatext: a line "BITS TEXT" for a double or a float; for a
 * map "CAPACITY KEYS ORDER", the keys as they are put and as they come out, separated by commas; for white space "CODEPOINT true" or
 * "CODEPOINT false", from 0 on. Arguments: double, float, map or space; seed; number of lines.
 */
public final class JavaText {
    public static void main(String[] args) throws Exception {
        SplittableRandom random = new SplittableRandom(Long.parseLong(args[1]));
        int n = Integer.parseInt(args[2]);
        PrintStream out = new PrintStream(new BufferedOutputStream(System.out, 1 << 20), false, "UTF-8");
        for (int i = 0; i < n; i++) {
            if (args[0].equals("double")) {
                double d = number(random, i);
                out.println(Long.toHexString(Double.doubleToRawLongBits(d)) + " " + d);
            } else if (args[0].equals("float")) {
                int bits = floatBits(random, i);
                out.println(Integer.toHexString(bits) + " " + Float.intBitsToFloat(bits));
            } else if (args[0].equals("space")) {
                out.println(Integer.toHexString(i) + " " + Character.isWhitespace(i));
            } else {
                out.println(map(random));
            }
        }
        out.flush();
    }

    /** Decimals that people write, whole numbers, powers of two and their neighbours, denormal numbers, any bits. */
    static double number(SplittableRandom random, int i) {
        long bits = random.nextLong();
        switch (i % 6) {
            case 0:
                return Double.parseDouble(random.nextInt(100_000) + "E" + (random.nextInt(660) - 330));
            case 1:
                return (double) (bits >> random.nextInt(64));
            case 2:
                return Double.longBitsToDouble((bits & 0xfff0000000000000L) + random.nextInt(3) - 1);
            case 3:
                return Double.longBitsToDouble(bits & 0x800fffffffffffffL & (-1L << random.nextInt(52)));
            default:
                return Double.longBitsToDouble(bits);
        }
    }

    static int floatBits(SplittableRandom random, int i) {
        int bits = random.nextInt();
        if (i % 3 == 0) {
            return Float.floatToRawIntBits(random.nextInt(1_000_000) / 100f);
        }
        return i % 3 == 1 ? bits & (0xff800000 | (random.nextBoolean() ? 0 : -1 << random.nextInt(23))) : bits;
    }

    static String map(SplittableRandom random) {
        int capacity = random.nextBoolean() ? 16 : random.nextInt(1, 300);
        String[] parts = {"taskmanager", "memory", ".", "size", "x", "\u00e9", "\ud83d\ude00", "\u4e2d"};
        Set<String> keys = new LinkedHashSet<>();
        if (random.nextInt(10) == 0) {
            // All of one hash: the ninth and tenth make a small table grow. The eleventh would make a tree, which the package does not copy.
            capacity = 16;
            String[] equal = {"Aa", "BB", "C#"};
            for (int n = random.nextInt(2, 11); n > 0; n--) {
                keys.add(equal[random.nextInt(3)] + equal[random.nextInt(3)] + equal[random.nextInt(3)]);
            }
        } else {
            for (int n = random.nextInt(60); n > 0; n--) {
                StringBuilder key = new StringBuilder();
                for (int k = random.nextInt(1, 6); k > 0; k--) {
                    key.append(parts[random.nextInt(parts.length)]);
                }
                keys.add(key.append(random.nextInt(1000)).toString());
            }
        }
        Map<String, String> map = capacity == 16 ? new HashMap<>() : new HashMap<>(capacity);
        for (String key : keys) {
            map.put(key, "");
        }
        return capacity + " " + String.join(",", keys) + " " + String.join(",", map.keySet());
    }
}
