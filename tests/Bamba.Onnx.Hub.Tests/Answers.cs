using System.Globalization;
using Microsoft.AspNetCore.Http;

namespace Bamba.Onnx.Hub.Tests;

/// <summary>What a hub, or a broken one, may answer.</summary>
internal static class Answers
{
    /// <summary>A whole file, or its end from where a range begins.</summary>
    public static RequestDelegate Bytes(byte[] content) =>
        async context =>
        {
            int from = context.Request.GetTypedHeaders().Range?.Ranges.Single().From is { } start ? (int)start : 0;
            if (from > 0)
            {
                context.Response.StatusCode = 206;
                context.Response.Headers.ContentRange = $"bytes {from}-{content.Length - 1}/{content.Length}";
            }
            context.Response.ContentLength = content.Length - from;
            if (context.Request.Method == "GET")
            {
                await context.Response.Body.WriteAsync(content.AsMemory(from));
            }
        };

    /// <summary>A whole file, whatever range was asked for.</summary>
    public static RequestDelegate WithoutRange(byte[] content) =>
        async context =>
        {
            context.Response.ContentLength = content.Length;
            await context.Response.Body.WriteAsync(content);
        };

    /// <summary>The first bytes from where a range begins, then something: the end, a cut, silence.</summary>
    public static RequestDelegate Beginning(byte[] content, int count, Func<HttpContext, Task> then) =>
        async context =>
        {
            int from = context.Request.GetTypedHeaders().Range?.Ranges.Single().From is { } start ? (int)start : 0;
            if (from > 0)
            {
                context.Response.StatusCode = 206;
                context.Response.Headers.ContentRange = $"bytes {from}-{content.Length - 1}/{content.Length}";
            }
            await context.Response.Body.WriteAsync(content.AsMemory(from, count));
            await context.Response.Body.FlushAsync();
            await then(context);
        };

    public static RequestDelegate Error(
        int status,
        string? code = null,
        string? message = null,
        TimeSpan? retry = null
    ) =>
        context =>
        {
            context.Response.StatusCode = status;
            if (code is not null)
            {
                context.Response.Headers["X-Error-Code"] = code;
            }
            if (message is not null)
            {
                context.Response.Headers["X-Error-Message"] = message;
            }
            if (retry is { } wait)
            {
                context.Response.Headers.RetryAfter = wait.TotalSeconds.ToString(CultureInfo.InvariantCulture);
            }
            return Task.CompletedTask;
        };

    public static RequestDelegate RedirectTo(string address) =>
        context =>
        {
            context.Response.Redirect(address);
            return Task.CompletedTask;
        };
}
