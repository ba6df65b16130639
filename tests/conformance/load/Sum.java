// Threads of Java: compiled, collected, counted.
// SPDX-License-Identifier: GPL-2.0-or-later
import java.util.concurrent.*;
import java.util.concurrent.atomic.*;
import java.util.stream.*;

public class Sum {
    public static void main(String[] args) throws Exception {
        AtomicLong sum = new AtomicLong();
        ConcurrentHashMap<Integer, String> map = new ConcurrentHashMap<>();
        ExecutorService pool = Executors.newFixedThreadPool(4);
        for (int t = 0; t < 4; t++) {
            final int me = t;
            pool.submit(() -> {
                for (int i = 0; i < 2000; i++) {
                    sum.addAndGet(i);
                    map.put(me * 2000 + i, "value " + i);
                }
            });
        }
        pool.shutdown();
        if (!pool.awaitTermination(10, TimeUnit.MINUTES)) throw new IllegalStateException("not done");
        System.out.println(sum + " " + map.size());
    }
}
