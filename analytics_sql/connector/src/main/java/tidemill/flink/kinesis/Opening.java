package tidemill.flink.kinesis;

import java.io.Serializable;

/** Makes a client of the stream, where it is used: each reader, each writer and the enumerator have one of their own. */
public interface Opening extends Serializable {
    StreamApi open();
}
