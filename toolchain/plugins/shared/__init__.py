"""What every offline plugin needs: values, requests, diff, log lines and the gRPC server."""
