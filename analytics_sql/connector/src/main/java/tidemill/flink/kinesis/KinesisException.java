package tidemill.flink.kinesis;

/** A call of Kinesis that was refused or lost; {@link #refusal} says which. */
public final class KinesisException extends Exception {
    private static final long serialVersionUID = 1L;

    private final transient Refusal refusal;

    public KinesisException(String call, Refusal refusal, Throwable cause) {
        super(call + ": " + refusal, cause);
        this.refusal = refusal;
    }

    public Refusal refusal() {
        return refusal;
    }
}
