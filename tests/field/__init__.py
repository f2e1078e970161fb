"""The field's losses and joins, each as one formula beside the same mathematics in ordinary torch."""
