//! What a broker's errors mean for who asked; decides nothing else.

use rdkafka::{error::KafkaError, types::RDKafkaErrorCode as Code};

/// Whether the cluster is only about to know the answer: brokers tell one another what is new, and nobody is told when.
pub(super) fn is_passing(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            Code::UnknownPartition
                | Code::UnknownTopic
                | Code::UnknownTopicOrPartition
                | Code::LeaderNotAvailable
                | Code::NotLeaderForPartition
                | Code::OffsetNotAvailable
                | Code::FencedLeaderEpoch
                | Code::UnknownLeaderEpoch
                | Code::KafkaStorageError
                | Code::ReplicaNotAvailable
        )
    )
}

/// Whether the partition no longer has what it had: it was cut, or made anew.
pub(super) fn is_cut(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(Code::OffsetOutOfRange | Code::AutoOffsetReset | Code::UnknownTopicOrPartition | Code::UnknownTopic)
    )
}

/// Whether the client only lost its connection, which it makes again by itself.
pub(super) fn is_lost_connection(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            Code::BrokerTransportFailure
                | Code::AllBrokersDown
                | Code::Resolve
                | Code::OperationTimedOut
                | Code::RequestTimedOut
                | Code::NetworkException
                | Code::LeaderNotAvailable
                | Code::NotLeaderForPartition
        )
    )
}
