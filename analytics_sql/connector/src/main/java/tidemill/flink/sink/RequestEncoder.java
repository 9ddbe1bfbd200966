package tidemill.flink.sink;

import java.io.Serializable;
import org.apache.flink.api.common.serialization.SerializationSchema;

/** Makes requests of rows. */
public interface RequestEncoder<T> extends Serializable {
    /** Called once, before the first row. */
    void open(SerializationSchema.InitializationContext context) throws Exception;

    /** The row's ordering key; null if it has none. */
    String keyOf(T row);

    /** The row's bytes; null if it makes none. */
    byte[] bytesOf(T row);
}
