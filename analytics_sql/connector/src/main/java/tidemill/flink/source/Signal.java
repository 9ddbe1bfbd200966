package tidemill.flink.source;

import java.util.HashSet;
import java.util.Set;

/** What a reader's task tells the thread that reads its shards: released shards, and that it is to wake up. */
final class Signal {
    private final Set<String> released = new HashSet<>();
    private boolean isWoken;

    synchronized void release(String shard) {
        released.add(shard);
        notifyAll();
    }

    synchronized void wake() {
        isWoken = true;
        notifyAll();
    }

    /** Waits so many milliseconds, less if there is something to do. */
    synchronized void await(long millis) throws InterruptedException {
        long deadline = System.nanoTime() + millis * 1_000_000;
        long left = millis;
        while (!isWoken && released.isEmpty() && left > 0) {
            wait(left);
            left = (deadline - System.nanoTime()) / 1_000_000;
        }
        isWoken = false;
    }

    synchronized Set<String> takeReleased() {
        Set<String> taken = Set.copyOf(released);
        released.clear();
        return taken;
    }
}
