"""The ground floor: corpora, the evidence store, encoders and the sub-indices that find passages."""
