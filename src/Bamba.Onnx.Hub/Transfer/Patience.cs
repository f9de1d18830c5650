using System.Globalization;

namespace Bamba.Onnx.Hub.Transfer;

/// <summary>How often and when something that failed is tried again: some times in a row, each after twice the pause.</summary>
internal sealed class Patience(TimeProvider time)
{
    public const int MostAttempts = 5;

    // The hub counts requests in windows of five minutes.
    public static readonly TimeSpan LongestWait = TimeSpan.FromMinutes(5);

    private static readonly TimeSpan FirstPause = TimeSpan.FromSeconds(1);

    private int failures;

    /// <summary>Does something until it works, fails for good, or has failed too often.</summary>
    /// <exception cref="HubException">It failed too often, or the hub wants to be left alone for too long.</exception>
    public static async Task<T> TryAsync<T>(
        TimeProvider time,
        Func<Task<T>> attempt,
        CancellationToken cancellationToken
    )
    {
        var patience = new Patience(time);
        while (true)
        {
            try
            {
                return await attempt().ConfigureAwait(false);
            }
            catch (TransientHubException e)
            {
                await patience.AfterAsync(e, cancellationToken).ConfigureAwait(false);
            }
        }
    }

    /// <summary>Forgets the failures, because something went forward since.</summary>
    public void Renew() => failures = 0;

    /// <summary>Waits after a failure until the next attempt.</summary>
    /// <exception cref="HubException">It failed too often, or the hub wants to be left alone for too long.</exception>
    public async Task AfterAsync(TransientHubException failure, CancellationToken cancellationToken)
    {
        failures++;
        if (failure.RetryAfter > LongestWait)
        {
            throw new HubException(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"{failure.Message}; it wants to be asked again in {failure.RetryAfter.Value.TotalSeconds:F0} seconds"
                ),
                failure
            );
        }
        if (failures == MostAttempts)
        {
            throw new HubException($"{failure.Message}; gave up after {MostAttempts} attempts", failure);
        }
        TimeSpan pause = failure.RetryAfter ?? FirstPause * Math.Pow(2, failures - 1);
        await Task.Delay(pause, time, cancellationToken).ConfigureAwait(false);
    }
}
