package tidemill.flink.source;

import java.io.Serializable;

/**
 * How much is read and held.
 *
 * @param getRecords records of one GetRecords, at most
 * @param batchRecords user records that are handed on at once; one more record's may be
 * @param batchBytes bytes that are handed on at once; one more record's may be
 * @param failsOnUnreadable whether what cannot be read fails the job; otherwise it is counted and passed over
 */
public record ReadLimits(int getRecords, int batchRecords, long batchBytes, boolean failsOnUnreadable)
        implements Serializable {}
