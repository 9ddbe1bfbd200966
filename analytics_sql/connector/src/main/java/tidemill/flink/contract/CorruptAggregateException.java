package tidemill.flink.contract;

/** Bytes that begin with the magic and are no sound aggregate; the message says why in one sentence. */
public final class CorruptAggregateException extends Exception {
    private static final long serialVersionUID = 1L;

    public CorruptAggregateException(String reason) {
        super(reason);
    }
}
